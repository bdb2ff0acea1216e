// Brings the replies of RESP3 connections into the shape that RESP2 gives them.
import type { Reply } from './port.ts';

/** RESP2 answers these with pairs, RESP3 with a map, which comes here flat: [key, entries, key, entries]. */
const PAIRED: ReadonlySet<string> = new Set(['XREAD', 'XREADGROUP']);

/** RESP2 answers these flat, RESP3 with pairs. */
const FLAT: ReadonlySet<string> = new Set([
  'HRANDFIELD',
  'ZDIFF',
  'ZINTER',
  'ZPOPMAX',
  'ZPOPMIN',
  'ZRANDMEMBER',
  'ZRANGE',
  'ZRANGEBYSCORE',
  'ZREVRANGE',
  'ZREVRANGEBYSCORE',
  'ZUNION',
]);

/** What the clients give: RESP3 has booleans, RESP2 has 1 and 0 instead. */
type Raw = string | number | boolean | null | Raw[];

/** For a reply whose maps and sets are flat arrays already and whose doubles are text; does nothing to one that is RESP2-shaped. */
export function reshaped(command: string, raw: unknown): Reply {
  const reply = withoutBooleans(raw as Raw) as Exclude<Raw, boolean>;
  if (!Array.isArray(reply)) return reply;
  if (PAIRED.has(command) && typeof reply[0] === 'string') return pairs(reply) as Reply;
  return (FLAT.has(command) && Array.isArray(reply[0]) ? reply.flat() : reply) as Reply;
}

function pairs(flat: readonly Raw[]): Raw[] {
  const paired: Raw[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) paired.push([flat[i] ?? null, flat[i + 1] ?? null]);
  return paired;
}

/** In place: a copy of 500 entries would cost as much as reading them off the wire. */
function withoutBooleans(raw: Raw): Raw {
  if (typeof raw === 'boolean') return Number(raw);
  if (Array.isArray(raw)) {
    for (let i = 0; i < raw.length; i++) {
      const item = raw[i];
      if (typeof item === 'object' || typeof item === 'boolean') raw[i] = withoutBooleans(item);
    }
  }
  return raw;
}
