// Whether a store is as it has to be: what `millrace/verify` exports.
import { readHead } from '../log/page.ts';
import { partitionsOf } from '../inspect/store-facts.ts';
import { readRegistered } from '../processor/registry.ts';
import { type Connection, connectionOf } from '../redis/connection.ts';
import { reading } from '../redis/public-error.ts';
import { Report, type Verification, type VerifyOptions } from './finding.ts';
import { verifyCategories, verifyEvents, verifyStreams } from './verify-log.ts';
import {
  countFor,
  readCheckpoints,
  verifyCheckpoints,
  verifyDocuments,
  verifyLetters,
  verifyNoneMissing,
  verifySchedule,
} from './verify-processing.ts';

export type { Verification, VerifyFinding, VerifyOptions } from './finding.ts';

const SAMPLE = 1_000;

/**
 * Looks whether versions are contiguous, index and log agree, checkpoints stand where the log is, documents equal the fold of their events, and
 * letters and schedules are whole: of all, or of a sample. It writes nothing, holds a page at a time, and appends and processors may go on.
 * @throws whatever a read throws; the reason of `signal`.
 */
export async function verify(store: object, options: VerifyOptions = {}): Promise<Verification> {
  const connection = connectionOf(store);
  const report = new Report(options);
  await reading('verify the store', verifyAll(connection, options, report));
  return report.result();
}

async function verifyAll(connection: Connection, options: VerifyOptions, report: Report): Promise<void> {
  const { all = false, sample = SAMPLE, projections = [] } = options;
  const most = all ? Number.POSITIVE_INFINITY : sample;
  const registered = await readRegistered(connection);
  let streams = 0;
  for (const partition of partitionsOf(connection)) {
    const checkpoints = await readCheckpoints(connection, partition, registered);
    const head = await readHead(connection, partition); // behind the checkpoints: they may have moved on since
    const categories = await verifyCategories(connection, partition, report);
    if (all) await verifyEvents(connection, { partition, categories, head }, report, (event) => countFor(checkpoints, event));
    if (streams < most) streams += await verifyStreams(connection, partition, most - streams, report);
    await verifyCheckpoints(connection, partition, checkpoints, all, report);
    await verifyLetters(connection, partition, registered, report);
    await verifySchedule(connection, partition, report);
  }
  for (const projection of projections) {
    if (projection.consistency !== 'async') continue;
    await verifyDocuments(connection, projection, most, report);
    await verifyNoneMissing(connection, projection, most, report);
  }
}
