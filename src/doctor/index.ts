// Whether a store and its server are well, and what mends what is not: what `millrace/doctor` exports.
import { setTimeout as delay } from 'node:timers/promises';
import { readServers } from '../inspect/server-facts.ts';
import { type Connection, connectionOf } from '../redis/connection.ts';
import { reading } from '../redis/public-error.ts';
import { examineServers } from './examine-server.ts';
import { examineStore } from './examine-store.ts';
import { bySeverity, type DoctorFinding } from './finding.ts';

export type { DoctorFinding, Severity } from './finding.ts';

/** Options of `examine`. */
export interface ExamineOptions {
  /** How long to watch the memory grow, in milliseconds. Default 2,000. */
  readonly watchMs?: number;
  readonly signal?: AbortSignal;
}

const WATCH_MS = 2_000;

/** Examines server and store: findings, the worst first. It changes nothing. Throws whatever a read throws. */
export async function examine(store: object, options: ExamineOptions = {}): Promise<readonly DoctorFinding[]> {
  return await reading('examine the store', examineAll(connectionOf(store), store, options));
}

async function examineAll(connection: Connection, store: object, { watchMs = WATCH_MS, signal }: ExamineOptions): Promise<readonly DoctorFinding[]> {
  const before = await readServers(connection);
  const started = performance.now();
  const [findings] = await Promise.all([examineStore(connection, store), delay(watchMs, undefined, { signal })]);
  const servers = await examineServers(connection, before, performance.now() - started);
  return [...servers, ...findings].sort(bySeverity);
}
