// Knows which version of a projection serves, and hears of it when that changes.
import { UnknownVersionError } from '../processing-errors.ts';
import type { Projection } from '../fold/projection.ts';
import type { Serving } from '../fold/serving.ts';
import type { Connection } from '../redis/connection.ts';
import { servingChannel, servingField, settingsKey } from '../redis/keys.ts';

/** How long it is not looked again, in milliseconds: a flip is followed after that also where it was not heard of. */
const LOOK_AGAIN_MS = 500;

/** What one store knows of the versions that serve. */
interface Known {
  readonly versions: Map<string, { readonly version: number | undefined; readonly until: number }>;
  /** Rises with each flip that is heard of: what was being read meanwhile is not kept. */
  flips: number;
}

const knownOf = new WeakMap<Connection, Known>();

/** The version that readers were flipped to; undefined where nobody has flipped them yet. Always from Redis. */
export async function readServingVersion({ port, keys: { namespace } }: Connection, name: string): Promise<number | undefined> {
  const key = settingsKey(namespace);
  const version = await port.send(key, ['HGET', key, servingField(name)]);
  return version === null ? undefined : Number(version);
}

/** The version to read now. Throws UnknownVersionError where it is none of those that the reader has. */
export async function followServing<State>(connection: Connection, { name, versions }: Serving<State>): Promise<Projection<State>> {
  const version = await knownVersion(connection, name);
  const found = version === undefined ? versions[0] : versions.find((each) => each.version === version);
  if (found) return found;
  throw new UnknownVersionError(
    name,
    version ?? 0,
    versions.map((each) => each.version),
  );
}

async function knownVersion(connection: Connection, name: string): Promise<number | undefined> {
  const known = knownOf.get(connection) ?? listen(connection);
  const last = known.versions.get(name);
  if (last && performance.now() < last.until) return last.version;
  const { flips } = known;
  const until = performance.now() + LOOK_AGAIN_MS;
  const version = await readServingVersion(connection, name);
  if (known.flips === flips) known.versions.set(name, { version, until });
  return version;
}

/** From the first such read on. Where no channel can be had, looking again is enough. */
function listen(connection: Connection): Known {
  const known: Known = { versions: new Map(), flips: 0 };
  knownOf.set(connection, known);
  const forget = (): void => {
    known.flips += 1;
    known.versions.clear();
  };
  connection.port.listen(servingChannel(connection.keys.namespace), forget).catch(() => undefined);
  return known;
}
