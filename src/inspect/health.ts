// Whether a process can do its work: what a readiness probe asks.
import type { Connection } from '../redis/connection.ts';
import { readCounts } from '../processor/progress.ts';
import type { Followed } from '../snapshot/reached.ts';
import type { HealthFacts } from './facts.ts';
import { partitionsOf } from './store-facts.ts';

/** What has to hold. */
export interface HealthOptions {
  /** How long the server may take to answer, in milliseconds. Default 1,000. */
  readonly timeoutMs?: number;
  /** What this process reads or runs: each has to be caught up to within `lagEventsMax`. Default: none. */
  readonly processors?: readonly Followed[];
  /** How many events each of them may be behind. Default: any number. */
  readonly lagEventsMax?: number;
}

const TIMEOUT_MS = 1_000;

/** Never throws: what went wrong is a reason. */
export async function readHealth(connection: Connection, options: HealthOptions): Promise<HealthFacts> {
  const { timeoutMs = TIMEOUT_MS } = options;
  const started = performance.now();
  const look = connection.port.sendEach(['PING']).then(async () => {
    const pingMs = performance.now() - started;
    return { pingMs, reasons: await reasonsOf(connection, options) };
  });
  const found = await within(timeoutMs, look);
  return { isHealthy: found.reasons.length === 0, pingMs: found.pingMs, reasons: found.reasons };
}

type Found = Pick<HealthFacts, 'pingMs' | 'reasons'>;

async function within(timeoutMs: number, look: Promise<Found>): Promise<Found> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Found>((resolve) => {
    timer = setTimeout(() => resolve({ pingMs: undefined, reasons: [`The server did not answer within ${timeoutMs} ms.`] }), timeoutMs);
  });
  const failed = look.catch((error: unknown) => ({
    pingMs: undefined,
    reasons: [`The server cannot be asked: ${error instanceof Error ? error.message : String(error)}`],
  }));
  try {
    return await Promise.race([failed, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function reasonsOf(
  connection: Connection,
  { processors = [], lagEventsMax = Number.POSITIVE_INFINITY }: HealthOptions,
): Promise<readonly string[]> {
  const reasons = await Promise.all(processors.map((each) => reasonOf(connection, each, lagEventsMax)));
  return reasons.flat();
}

async function reasonOf(connection: Connection, followed: Followed, lagEventsMax: number): Promise<readonly string[]> {
  const { port, keys } = connection;
  const counts = await Promise.all(partitionsOf(connection).map((partition) => readCounts(connection, followed, partition)));
  const title = `${followed.name}@${followed.version}`;
  const lagEvents = counts.reduce((sum, each) => sum + each.lagEvents, 0);
  const behind = lagEvents > lagEventsMax ? [`${title} is ${lagEvents} events behind; at most ${lagEventsMax} are fine.`] : [];
  if (!('evolve' in followed)) return behind;
  // Of a projection the documents are incomplete until it has caught up once.
  const built = await Promise.all(
    partitionsOf(connection).map(async (partition) => {
      const key = keys.checkpoint(partition, followed.name, followed.version);
      return (await port.send(key, ['HGET', key, 'built'])) !== null || counts[partition]?.lagEvents === 0;
    }),
  );
  return built.every(Boolean) ? behind : [...behind, `${title} has not folded everything once: its documents are incomplete.`];
}
