// A state as the fields of a hash, readable by any Redis client, and back.
import { type Codec, saidOf } from '../codec.ts';
import { CorruptDocumentError, InvalidInputError } from '../errors.ts';
import { entryIdOf, packEntryId } from '../position.ts';
import { show } from '../show.ts';

/**
 * What is ours in a document's hash begins with a colon; a property that begins with one has it doubled.
 * `:state` holds a state that is no plain object.
 */
export const documentFields: Readonly<Record<'position' | 'version' | 'state' | 'revision' | 'deleted', string>> = Object.freeze({
  position: ':position',
  version: ':version',
  state: ':state',
  revision: ':revision',
  deleted: ':deleted',
});

/** Bounds of what is folded and stored at once. */
export const projectionLimits: Readonly<Record<'documentBytes' | 'cachedDocuments' | 'commitBytes', number>> = Object.freeze({
  /** A document larger than this, encoded, stops its projection. */
  documentBytes: 4_194_304,
  /** Documents of one projection in one partition that a process keeps in memory. */
  cachedDocuments: 50_000,
  /** A commit is cut at about so much of changed documents, for Redis does nothing else meanwhile. */
  commitBytes: 1_048_576,
});

/** What the fields say: the state (undefined where there is none), and up to where it was folded. */
export interface Document<State> {
  readonly state: State | undefined;
  /** Entry id, or with several partitions the one of each. */
  readonly reserved: ReadonlyMap<string, string>;
}

/** Fields and values in turn, of the state alone. Throws InvalidInputError for one that would not come back as it was. */
export function encodeState(codec: Codec, state: unknown): string[] {
  if (state === undefined) throw new InvalidInputError('state', 'a state, or null to delete the document', state);
  if (!isPlainObject(state) || Object.getOwnPropertySymbols(state).length > 0) return [documentFields.state, encodeWhole(codec, state)];
  const fields: string[] = [];
  for (const name of Object.keys(state)) {
    const value = state[name];
    if (value === undefined) continue;
    if (!name.isWellFormed()) return [documentFields.state, encodeWhole(codec, state)];
    fields.push(name.startsWith(':') ? `:${name}` : name, encodeProperty(codec, name, value));
  }
  return fields;
}

function isPlainObject(state: unknown): state is Record<string, unknown> {
  if (typeof state !== 'object' || state === null || Array.isArray(state)) return false;
  const prototype: unknown = Object.getPrototypeOf(state);
  return prototype === null || prototype === Object.prototype;
}

/** The names in a list of fields and values in turn. */
export function namesOf(fields: readonly string[]): readonly string[] {
  return fields.filter((_, at) => at % 2 === 0);
}

/** Names that were there and are no more. */
export function namesGone(before: readonly string[], now: readonly string[]): readonly string[] {
  return before.length === 0 ? before : before.filter((name) => !now.includes(name));
}

/** About how many characters fields and values take. */
export function sizeOf(fields: readonly string[]): number {
  return fields.reduce((sum, field) => sum + field.length, 0);
}

/** Fields and values in turn, as HGETALL gives them of `key`. Throws CorruptDocumentError. */
export function decodeDocument<State>(codec: Codec, fields: readonly string[], key: string): Document<State> {
  const decode = (property: string, text: string): unknown => decodeText(codec, text, { key, property });
  const reserved = new Map<string, string>();
  const properties: [string, unknown][] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    if (!name.startsWith(':')) properties.push([name, looksEncoded(value) ? decode(name, unmarked(value)) : value]);
    else if (name.startsWith('::')) properties.push([name.slice(1), looksEncoded(value) ? decode(name, unmarked(value)) : value]);
    else reserved.set(name, value);
  }
  const whole = reserved.get(documentFields.state);
  const isThere = fields.length > 0 && !reserved.has(documentFields.deleted);
  // fromEntries defines properties, so that one named __proto__ touches no prototype.
  const state = whole === undefined ? Object.fromEntries(properties) : decode(documentFields.state, whole);
  return { state: isThere ? (state as State) : undefined, reserved };
}

/** The place up to which a document of one partition was folded. */
export function placeOfDocument({ reserved }: Document<unknown>): number {
  const entryId = reserved.get(documentFields.position);
  return entryId === undefined ? -1 : packEntryId(entryId);
}

/** The field that says up to where a document was folded. */
export function positionFields(place: number): string[] {
  return [documentFields.position, entryIdOf(place)];
}

function encodeWhole(codec: Codec, state: unknown): string {
  try {
    return codec.encode(state);
  } catch (error) {
    throw saidOf('state', error);
  }
}

function encodeProperty(codec: Codec, name: string, value: unknown): string {
  try {
    return encodeValue(codec, value);
  } catch (error) {
    throw saidOf(`property ${show(name)} of the state`, error);
  }
}

// A codec's text that could be taken for a string as it is has a space before it.
function unmarked(text: string): string {
  return text.startsWith(' ') ? text.slice(1) : text;
}

// A string stands as it is, unless it could be taken for what the codec wrote: then, like everything else, the codec writes it.
function encodeValue(codec: Codec, value: unknown): string {
  if (typeof value === 'string' && !looksEncoded(value) && value.isWellFormed()) return value;
  const text = codec.encode(value);
  return looksEncoded(text) && !text.startsWith(' ') ? text : ` ${text}`;
}

function decodeText(codec: Codec, text: string, { key, property }: { readonly key: string; readonly property: string }): unknown {
  try {
    return codec.decode(text);
  } catch (cause) {
    throw new CorruptDocumentError(key, property, text, { cause });
  }
}

const STARTS = '{["- 0123456789';

function looksEncoded(text: string): boolean {
  return text !== '' && (STARTS.includes(text[0] as string) || text === 'true' || text === 'false' || text === 'null');
}
