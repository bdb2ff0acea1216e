// Cli: where a command's output goes, in which form, and what ends it.
import cliProgress from 'cli-progress';
import Table from 'cli-table3';
import pico from 'picocolors';

/** What the binary gets from its process; a test may give others. */
export interface CliStreams {
  readonly stdout: NodeJS.WriteStream | NodeJS.WritableStream;
  readonly stderr: NodeJS.WriteStream | NodeJS.WritableStream;
  readonly stdin: NodeJS.ReadStream | NodeJS.ReadableStream;
  readonly env: NodeJS.ProcessEnv;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
}

/** A column of a table: its head, and on which side its texts stand. */
export type Column = string | { readonly head: string; readonly align: 'left' | 'right' };

/** A bar on stderr; one that shows nothing where that is no terminal. */
export interface ProgressBar {
  update(done: number, total?: number): void;
  stop(): void;
}

const BORDERLESS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

export class Cli {
  readonly streams: CliStreams;
  /** Set by `--json`: one document, or JSON lines, for programs. */
  json = false;
  /** What the process ends with, unless it fails: 1 where something was found wrong. */
  exitCode = 0;
  /** Whether Ctrl-C is how this command ends when all is well: one that watches or serves. */
  endsWell = false;
  #bar: cliProgress.SingleBar | undefined;

  constructor(streams: CliStreams) {
    this.streams = streams;
  }

  get env(): NodeJS.ProcessEnv {
    return this.streams.env;
  }

  get signal(): AbortSignal {
    return this.streams.signal;
  }

  /** Whether a person looks at what is printed. */
  get isTerminal(): boolean {
    return 'isTTY' in this.streams.stdout && this.streams.stdout.isTTY;
  }

  /** Columns of the terminal; 80 where there is none. */
  get width(): number {
    return ('columns' in this.streams.stdout && this.streams.stdout.columns) || 80;
  }

  /** Colours on a terminal, none with NO_COLOR, and always with FORCE_COLOR. */
  get colours(): ReturnType<typeof pico.createColors> {
    const isAsked = (this.env['FORCE_COLOR'] ?? '') !== '' && this.env['FORCE_COLOR'] !== '0';
    const isRefused = (this.env['NO_COLOR'] ?? '') !== '' || this.env['TERM'] === 'dumb';
    return pico.createColors(!this.json && !isRefused && (isAsked || this.isTerminal));
  }

  /** A line for people. Control characters in what comes from the store are shown escaped: use `plain` for those. */
  print(line = ''): void {
    this.streams.stdout.write(`${line}\n`);
  }

  /** A line beside the output: on stderr. */
  note(line: string): void {
    this.streams.stderr.write(`${line}\n`);
  }

  /** The one document that `--json` prints. */
  printJson(value: unknown): void {
    this.streams.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
  }

  /** One of several JSON lines. Waits where the reader is slow. */
  async printJsonLine(value: unknown): Promise<void> {
    if (this.streams.stdout.write(`${JSON.stringify(value)}\n`)) return;
    await new Promise<void>((resolve) => this.streams.stdout.once('drain', resolve));
  }

  /** A table without lines, as `ps` has it; cells that come from the store are made safe for a terminal. */
  printTable(columns: readonly Column[], rows: readonly (readonly (string | number | undefined)[])[]): void {
    const heads = columns.map((column) => (typeof column === 'string' ? { head: column, align: 'left' as const } : column));
    const table = new Table({
      chars: BORDERLESS,
      style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
      head: heads.map(({ head }) => this.colours.bold(head)),
      colAligns: heads.map(({ align }) => align),
    });
    for (const row of rows) table.push(row.map((cell) => (cell === undefined ? '' : String(cell))));
    for (const line of table.toString().split('\n')) this.print(line.trimEnd());
  }

  /** A bar on stderr while something long runs; nothing where no person looks on. */
  progress(title: string, total: number): ProgressBar {
    const { stderr } = this.streams;
    if (!('isTTY' in stderr && stderr.isTTY) || this.json) return { update: () => {}, stop: () => {} };
    const bar = new cliProgress.SingleBar(
      { format: `${title} {bar} {percentage}% {value}/{total} {eta_formatted}`, stream: stderr, hideCursor: true, clearOnComplete: true },
      cliProgress.Presets.shades_classic,
    );
    this.#bar = bar;
    bar.start(total, 0);
    return {
      update: (done, newTotal) => {
        if (newTotal !== undefined) bar.setTotal(newTotal);
        bar.update(done);
      },
      stop: () => {
        bar.stop();
        this.#bar = undefined;
      },
    };
  }

  /** Leaves the terminal as it was. */
  end(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it escapes
const MOVES_CURSOR = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Text from the store, safe for a terminal: what moves the cursor or turns the direction of writing is escaped. */
export function plain(text: string): string {
  return text.replace(MOVES_CURSOR, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Any value on one line, safe for a terminal, and cut at `width`. */
export function oneLine(value: unknown, width: number = Number.POSITIVE_INFINITY): string {
  const text = plain(JSON.stringify(value) ?? 'undefined');
  if (text.length <= width) return text;
  // A pair of surrogates is one character.
  return `${text.slice(0, Math.max(1, width - 1)).replace(/[\ud800-\udbff]$/, '')}…`;
}
