// Flips the readers of a projection from one of its versions to another.
import { NotCaughtUpError, PausedError } from '../processing-errors.ts';
import { readHead } from '../log/page.ts';
import type { Connection } from '../redis/connection.ts';
import { type Flip, serveVersion } from '../redis/control-scripts.ts';
import { servingChannel, servingField, settingsKey } from '../redis/keys.ts';
import { type Followed, waitUntilReached } from '../snapshot/reached.ts';
import { readServingVersion } from '../snapshot/serving.ts';

/** Options of `serve`. */
export interface ServeOptions {
  /** Flips also to a version that has yet to fold what is there: its readers may get NotCaughtUpError until then. Default false. */
  readonly evenIfBehind?: boolean;
  /** How long to wait for it to reach what the log held at the call, in milliseconds. Default 5,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const TIMEOUT_MS = 5_000;

/** The version that served before. */
export async function flipTo(
  connection: Connection,
  projection: Followed,
  { evenIfBehind = false, timeoutMs = TIMEOUT_MS, signal }: ServeOptions,
): Promise<number | undefined> {
  await assertNotHalted(connection, projection);
  if (!evenIfBehind) await reachHeads(connection, projection, timeoutMs, signal);
  const before = await flip(connection, projection);
  try {
    // A drop pauses it first and looks then whether it serves: one of the two sees the other.
    await assertNotHalted(connection, projection);
  } catch (error) {
    await serveVersion(connection.port, { ...flipOf(connection, projection), version: before, from: String(projection.version) });
    throw error;
  }
  return before === '' ? undefined : Number(before);
}

/** What served before. Sent twice, after a lost reply, it finds its own version: that is the same flip. */
async function flip(connection: Connection, projection: Followed): Promise<string> {
  const version = String(projection.version);
  for (;;) {
    const before = String((await readServingVersion(connection, projection.name)) ?? '');
    const { isSet, serves } = await serveVersion(connection.port, { ...flipOf(connection, projection), version, from: before });
    if (isSet || serves === version) return before;
  }
}

function flipOf({ keys: { namespace } }: Connection, { name }: Followed): Pick<Flip, 'settingsKey' | 'field' | 'channel'> {
  return { settingsKey: settingsKey(namespace), field: servingField(name), channel: servingChannel(namespace) };
}

async function reachHeads(connection: Connection, projection: Followed, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
  const partitions = Array.from({ length: connection.keys.partitions }, (_, partition) => partition);
  const heads = await Promise.all(partitions.map(async (partition) => [partition, await readHead(connection, partition)] as const));
  try {
    await waitUntilReached(connection, projection, new Map(heads), { timeoutMs, signal });
  } catch (error) {
    if (!(error instanceof NotCaughtUpError)) throw error;
    throw new NotCaughtUpError(
      `Readers were not flipped to version ${projection.version}: ${error.message} With evenIfBehind: true they are flipped all the same.`,
      { cause: error },
    );
  }
}

async function assertNotHalted({ port, keys }: Connection, { name, version }: Followed): Promise<void> {
  for (let partition = 0; partition < keys.partitions; partition += 1) {
    const key = keys.checkpoint(partition, name, version);
    const [paused, clears] = (await port.send(key, ['HMGET', key, 'paused', 'clears'])) as readonly (string | null)[];
    if ((clears ?? paused) === null) continue;
    const what = clears === null ? 'is paused' : `has a ${clears} that is not finished`;
    throw new PausedError(
      `Version ${version} of projection ${name} ${what} in partition ${partition}, so its documents fall behind. Readers were not flipped to it. ` +
        `Let it go on with ProcessorControl.${clears ?? 'resume'}, and flip them then.`,
    );
  }
}
