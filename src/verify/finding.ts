// What a verification found, and how far it looked.

/** Something that is not as it has to be. */
export interface VerifyFinding {
  readonly kind: 'log' | 'index' | 'category' | 'head' | 'checkpoint' | 'document' | 'schedule' | 'dead-letter';
  /** A key of Redis, a stream, a document: where it is. */
  readonly where: string;
  readonly expected: string;
  readonly found: string;
  readonly advice: string;
}

/** How much was looked at, and what was found. */
export interface Verification {
  readonly events: number;
  readonly streams: number;
  readonly documents: number;
  readonly isSample: boolean;
  readonly findings: readonly VerifyFinding[];
  /** More were found than are told. */
  readonly hasMore: boolean;
}

export interface VerifyOptions {
  /** Looks at all; by default at a sample of `sample` streams and documents of each projection. */
  readonly all?: boolean;
  /** Default 1,000. */
  readonly sample?: number;
  /** The code of projections, whose documents are compared with the fold of their events. Default: none. */
  readonly projections?: readonly import('../fold/projection.ts').AnyProjection[];
  readonly signal?: AbortSignal;
  /** Told now and then how many events, streams and documents were looked at. */
  readonly onProgress?: (done: number) => void;
}

/** Findings that are told. */
const FINDINGS_MAX = 100;

/** Gathers what is found, and counts what is looked at. */
export class Report {
  readonly #options: VerifyOptions;
  readonly #findings: VerifyFinding[] = [];
  #found = 0;
  events = 0;
  streams = 0;
  documents = 0;

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  add(finding: VerifyFinding): void {
    this.#found += 1;
    if (this.#findings.length < FINDINGS_MAX) this.#findings.push(finding);
  }

  tell(): void {
    this.#options.signal?.throwIfAborted();
    this.#options.onProgress?.(this.events + this.streams + this.documents);
  }

  result(): Verification {
    const { events, streams, documents } = this;
    const isSample = this.#options.all !== true;
    return { events, streams, documents, isSample, findings: this.#findings, hasMore: this.#found > this.#findings.length };
  }
}
