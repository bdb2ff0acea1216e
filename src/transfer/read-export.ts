// Reads an export: its lines one by one, whole or compressed, and what a broken-off one holds.
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Transform, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { InvalidInputError } from '../errors.ts';
import { parsePosition, type Position, splitPosition } from '../position.ts';
import { InWords } from '../show.ts';
import type { Written } from './export-events.ts';
import { Digest, type ExportedEvent, type ExportHeader, type ExportTrailer, parseLine, wrong } from './format.ts';

/** Options of `readEvents`. */
export interface ReadEventsOptions {
  /** Takes a file without its end, too. Default false. */
  readonly allowIncomplete?: boolean;
  readonly onHeader?: (header: ExportHeader) => void;
}

/** What a broken-off export holds. */
export interface Broken {
  readonly header: ExportHeader;
  /** For `exportEvents`, to go on. */
  readonly written: Written;
  /** Where its whole lines end: what is behind is a torn one. */
  readonly bytes: number;
}

/** An event and the number of its line. */
export interface NumberedEvent {
  readonly line: number;
  readonly event: ExportedEvent;
}

const GZIP = [0x1f, 0x8b];

/** Takes compression away where there is some: the first bytes tell. */
export function unpacked(source: Readable): Readable {
  let gunzip: ReturnType<typeof createGunzip> | undefined;
  let isFirst = true;
  const out = new Transform({
    transform(chunk: Buffer, _, done) {
      if (isFirst && chunk.length > 1) {
        isFirst = false;
        if (chunk[0] === GZIP[0] && chunk[1] === GZIP[1]) {
          gunzip = createGunzip();
          gunzip.on('data', (piece: Buffer) => this.push(piece)).on('error', (error) => this.destroy(error));
        }
      }
      if (gunzip) gunzip.write(chunk, done);
      else done(null, chunk);
    },
    flush(done) {
      if (!gunzip) return done();
      gunzip.once('end', done);
      gunzip.end();
    },
  });
  source.on('error', (error) => out.destroy(error));
  return source.pipe(out);
}

/** Each event, and the header before; the trailer is checked at the end. Throws InvalidInputError with the number of the line. */
export async function* readEvents(
  source: Readable,
  { allowIncomplete = false, onHeader }: ReadEventsOptions = {},
): AsyncGenerator<NumberedEvent, ExportTrailer, undefined> {
  const digest = new Digest();
  let trailer: ExportTrailer | undefined;
  let number = 0;
  for await (const text of createInterface({ input: unpacked(source), crlfDelay: Number.POSITIVE_INFINITY })) {
    number += 1;
    if (text === '' && trailer) continue;
    const line = parseLine(text, number);
    if (number === 1 && line.kind !== 'header') throw wrong(1, 'the header of an export', text);
    if (trailer) throw wrong(number, 'nothing behind the trailer', text);
    if (line.kind === 'header') onHeader?.(line.header);
    else if (line.kind === 'trailer') trailer = line.trailer;
    else {
      digest.add(`${text}\n`);
      yield { line: number, event: line.event };
    }
  }
  if (number === 0) throw new InvalidInputError('export', 'a header, events and a trailer', new InWords('nothing at all'));
  if (!trailer && !allowIncomplete)
    throw new InvalidInputError(
      'export',
      'a trailer in its last line, with count and digest',
      new InWords(`an end after ${digest.events} events: it was cut off`),
    );
  if (trailer) assertSame(trailer, digest.trailer);
  return digest.trailer;
}

function assertSame(told: ExportTrailer, found: ExportTrailer): void {
  if (told.events !== found.events)
    throw new InvalidInputError('export', `${told.events} events, as its trailer says`, new InWords(`${found.events}`));
  if (told.sha256 !== found.sha256)
    throw new InvalidInputError('export', `the digest ${told.sha256}, as its trailer says`, new InWords(`${found.sha256}: a line was changed`));
}

/** What a broken-off export holds: its whole lines, and where they end in the file. Undefined where it is whole. */
export async function readBroken(path: string): Promise<Broken | undefined> {
  const digest = new Digest();
  const positions = new Map<number, Position>();
  let [header, bytes, number]: [ExportHeader | undefined, number, number] = [undefined, 0, 0];
  for await (const text of wholeLines(createReadStream(path))) {
    number += 1;
    const line = parseLine(text.slice(0, -1), number);
    if (line.kind === 'trailer') return undefined;
    bytes += Buffer.byteLength(text);
    if (line.kind === 'header') header = line.header;
    else if (line.kind === 'event') {
      digest.add(text);
      const position = parsePosition(line.event.position);
      positions.set(splitPosition(position).partition, position);
    }
  }
  if (!header) throw new InvalidInputError('file to resume', 'the beginning of an export', new InWords('something else'));
  return { header, written: { digest, positions }, bytes };
}

/** A last line without its end is none. */
async function* wholeLines(source: Readable): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of source.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield `${line}\n`;
  }
}
