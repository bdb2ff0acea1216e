// The form of an export: JSON lines, the first a header, then one for each event, the last a trailer with their count and digest.
import { createHash, type Hash } from 'node:crypto';
import type { AnyEvent, EventMetadata, RecordedEvent } from '../event.ts';
import { InvalidInputError } from '../errors.ts';
import { jsonCodec } from '../codec.ts';
import { InWords } from '../show.ts';

/** The form that this version writes and reads. */
const FORMAT = 1;

export interface ExportHeader {
  readonly millrace: 'export';
  readonly format: number;
  readonly namespace: string;
  readonly storeId: string;
  readonly partitions: number;
  readonly exportedAt: string;
  /** Undefined for all. */
  readonly categories?: readonly string[];
  readonly from?: string;
  readonly until?: string;
}

/** One event. `id` is there where it is not the usual one. */
export interface ExportedEvent {
  readonly stream: string;
  readonly version: number;
  readonly type: string;
  readonly data: unknown;
  readonly metadata?: EventMetadata;
  readonly id?: string;
  /** When it was recorded, in milliseconds since 1970. */
  readonly at: number;
  readonly position: string;
}

export interface ExportTrailer {
  readonly events: number;
  /** Of the lines of the events, their line ends included. */
  readonly sha256: string;
}

export function headerLine(header: Omit<ExportHeader, 'millrace' | 'format'>): string {
  return `${JSON.stringify({ millrace: 'export', format: FORMAT, ...header })}\n`;
}

/** Throws InvalidInputError for data that JSON would not give back as they are. */
export function eventLine(event: RecordedEvent<AnyEvent>): string {
  const { streamName, streamVersion, type, data, metadata, id, recordedAt, position } = event;
  const isUsual = id === `${streamName}@${streamVersion}`;
  const exported: ExportedEvent = {
    stream: streamName,
    version: streamVersion,
    type,
    data,
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
    ...(isUsual ? {} : { id }),
    at: recordedAt.getTime(),
    position,
  };
  return `${jsonCodec.encode(exported)}\n`;
}

export function trailerLine(trailer: ExportTrailer): string {
  return `${JSON.stringify(trailer)}\n`;
}

/** Counts and digests the lines of events. */
export class Digest {
  readonly #hash: Hash = createHash('sha256');
  events = 0;

  add(line: string): void {
    this.#hash.update(line);
    this.events += 1;
  }

  get trailer(): ExportTrailer {
    return { events: this.events, sha256: this.#hash.copy().digest('hex') };
  }
}

/** What a line is. Throws InvalidInputError with its number. */
export type Line =
  | { readonly kind: 'header'; readonly header: ExportHeader }
  | { readonly kind: 'event'; readonly event: ExportedEvent }
  | { readonly kind: 'trailer'; readonly trailer: ExportTrailer };

export function parseLine(text: string, number: number): Line {
  const value = parsed(text, number);
  if ('millrace' in value) return { kind: 'header', header: headerOf(value, number) };
  if ('sha256' in value && typeof value['sha256'] === 'string' && typeof value['events'] === 'number')
    return { kind: 'trailer', trailer: { events: value['events'], sha256: value['sha256'] } };
  return { kind: 'event', event: eventOf(value, number) };
}

function parsed(text: string, number: number): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw wrong(number, 'a line of JSON', text);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(number, 'an object', text);
  return value as Record<string, unknown>;
}

function headerOf(value: Record<string, unknown>, number: number): ExportHeader {
  if (value['millrace'] !== 'export' || number !== 1) throw wrong(number, 'the header of an export, in the first line only', JSON.stringify(value));
  if (value['format'] !== FORMAT) throw wrong(number, `format ${FORMAT}, which this version reads`, `format ${String(value['format'])}`);
  return value as object as ExportHeader;
}

function eventOf(value: Record<string, unknown>, number: number): ExportedEvent {
  const { stream, version, type, at, id, metadata } = value;
  const isEvent =
    typeof stream === 'string' &&
    Number.isSafeInteger(version) &&
    Number(version) >= 1 &&
    typeof type === 'string' &&
    Number.isSafeInteger(at) &&
    'data' in value &&
    (id === undefined || typeof id === 'string') &&
    (metadata === undefined || (typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata)));
  if (!isEvent) throw wrong(number, 'an event with stream, version, type, data and at', JSON.stringify(value));
  return value as object as ExportedEvent;
}

export function wrong(number: number, expected: string, found: string): InvalidInputError {
  return new InvalidInputError(`line ${number} of the export`, expected, found.length > 60 ? found : new InWords(found));
}
