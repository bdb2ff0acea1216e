// Cuts a client's bytes into commands, incrementally.

const CRLF = Buffer.from('\r\n');

/** One command as it was sent; `args` decodes it, which is only worth it where somebody looks. */
export interface SentCommand {
  readonly raw: Buffer;
  args(): string[];
}

type Parsed = { readonly end: number; readonly spans: readonly (readonly [number, number])[] } | { readonly needs: number };

/** Takes bytes as they come, in any pieces, and gives the commands that are complete: arrays of bulk strings, and inline ones. */
export class CommandParser {
  #chunks: Buffer[] = [];
  #length = 0;
  /** Fewer bytes than this cannot complete the next command: a big one that comes in small pieces is not joined again for each. */
  #needs = 1;

  push(chunk: Buffer): SentCommand[] {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length < this.#needs) return [];
    return this.#take(Buffer.concat(this.#chunks));
  }

  #take(bytes: Buffer): SentCommand[] {
    const commands: SentCommand[] = [];
    let rest = bytes;
    let parsed = parseCommand(rest);
    while ('end' in parsed) {
      commands.push(sentCommand(rest.subarray(0, parsed.end), parsed.spans));
      rest = rest.subarray(parsed.end);
      parsed = parseCommand(rest);
    }
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#length = rest.length;
    this.#needs = parsed.needs;
    return commands;
  }
}

function sentCommand(raw: Buffer, spans: readonly (readonly [number, number])[]): SentCommand {
  return { raw, args: () => spans.map(([from, to]) => raw.toString('utf8', from, to)) };
}

function parseCommand(bytes: Buffer): Parsed {
  const lineEnd = bytes.indexOf(CRLF);
  if (lineEnd === -1) return { needs: bytes.length + 1 };
  return bytes[0] === 0x2a /* * */ ? parseArray(bytes, lineEnd) : parseInline(bytes, lineEnd);
}

function parseArray(bytes: Buffer, lineEnd: number): Parsed {
  const count = Number(bytes.toString('latin1', 1, lineEnd));
  const spans: [number, number][] = [];
  let offset = lineEnd + 2;
  for (let i = 0; i < count; i++) {
    const sizeEnd = bytes.indexOf(CRLF, offset);
    if (sizeEnd === -1) return { needs: bytes.length + 1 };
    const size = Number(bytes.toString('latin1', offset + 1, sizeEnd));
    if (!Number.isSafeInteger(size))
      throw new Error(`not a RESP command: ${JSON.stringify(bytes.toString('latin1', offset, sizeEnd))} where a bulk string's size must stand`);
    spans.push([sizeEnd + 2, sizeEnd + 2 + size]);
    offset = sizeEnd + 2 + size + 2;
    if (offset > bytes.length) return { needs: offset };
  }
  return { end: offset, spans };
}

function parseInline(bytes: Buffer, lineEnd: number): Parsed {
  const spans: [number, number][] = [];
  for (const word of bytes.toString('latin1', 0, lineEnd).matchAll(/\S+/g)) spans.push([word.index, word.index + word[0].length]);
  return { end: lineEnd + 2, spans };
}
