// Brings the replies of RESP3 connections into the shape that RESP2 gives them.
import type { Reply } from './port.ts';

/** RESP2 answers these with pairs, RESP3 with a map, which comes here flat: [key, entries, key, entries]. */
const PAIRED: ReadonlySet<string> = new Set(['XREAD', 'XREADGROUP']);

/** RESP2 answers these flat, RESP3 with pairs. */
const FLAT: ReadonlySet<string> = new Set([
  'HRANDFIELD', 'ZDIFF', 'ZINTER', 'ZPOPMAX', 'ZPOPMIN', 'ZRANDMEMBER', 'ZRANGE', 'ZRANGEBYSCORE', 'ZREVRANGE', 'ZREVRANGEBYSCORE', 'ZUNION',
]);

/** For a reply whose maps and sets are flat arrays already and whose doubles are text; does nothing to one that is RESP2-shaped. */
export function reshaped(command: string, reply: Reply): Reply {
  if (!Array.isArray(reply)) return reply;
  if (PAIRED.has(command) && typeof reply[0] === 'string') return pairs(reply);
  return FLAT.has(command) && Array.isArray(reply[0]) ? reply.flat() : reply;
}

function pairs(flat: readonly Reply[]): Reply[] {
  const paired: Reply[] = [];
  for (let i = 0; i < flat.length; i += 2) paired.push([flat[i] as Reply, flat[i + 1] as Reply]);
  return paired;
}

/** A reply may still hold booleans here: RESP2 has 1 and 0. Changed in place, without a copy. */
export function withoutBooleans(reply: Reply | boolean): Reply {
  if (typeof reply === 'boolean') return Number(reply);
  if (Array.isArray(reply)) for (let i = 0; i < reply.length; i++) if (typeof reply[i] !== 'string') reply[i] = withoutBooleans(reply[i] as Reply | boolean);
  return reply;
}
