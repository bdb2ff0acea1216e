// Finds the one engine that all test files share, or starts the set-up of several, and says what this run is about.
import { embeddedEngine, findEngine } from '../../examples/engine.ts';
import { makeRuledUser } from './acl.ts';
import type { TestSetUp } from './clients.ts';
import { startCluster } from './cluster.ts';
import { startSentinels } from './sentinel.ts';

interface StartedSetUp {
  readonly setUp: TestSetUp;
  readonly stop: () => Promise<void>;
}

const KEEPS_NOTHING = ['--appendonly', 'no', '--save', ''];

/** Test processes inherit the environment, and with it the names set here. */
export async function setup(): Promise<() => Promise<void>> {
  const client = process.env['MILLRACE_TEST_CLIENT'] ?? 'node-redis';
  if (client !== 'node-redis' && client !== 'ioredis') throw new Error(`MILLRACE_TEST_CLIENT must be node-redis or ioredis, found ${client}`);
  const asked = process.env['MILLRACE_TEST_ENGINE'] ?? '';
  if (!['', 'embedded', 'cluster', 'sentinel'].includes(asked))
    throw new Error(`MILLRACE_TEST_ENGINE must be embedded, cluster or sentinel, or not set, found ${asked}`);
  // So that the embedded one can be tested where there are others.
  const engine = asked === 'embedded' ? await embeddedEngine() : await findEngine();
  const { setUp, stop } = await startSetUp(asked);
  process.env['MILLRACE_TEST_URL'] = engine.url;
  process.env['MILLRACE_TEST_SETUP'] = JSON.stringify(setUp);
  process.env['MILLRACE_TEST_CLIENT'] = client;
  // The stores of the tests are opened by a user who may do no more than the printed rules say; what tests do beside them is not.
  if (process.env['MILLRACE_TEST_ACL'] === '1') process.env['MILLRACE_TEST_USER'] = await makeRuledUser(engine.url);
  console.log(`${setUp.kind === 'server' ? '' : `${setUp.kind}, and beside it `}engine: ${engine.description}; client: ${client}`);
  return async () => void (await Promise.all([engine.close(), stop()]));
}

/** Of the engine that tests start for themselves. */
async function startSetUp(asked: string): Promise<StartedSetUp> {
  if (asked === 'cluster') {
    const cluster = await startCluster({ args: KEEPS_NOTHING });
    return { setUp: { kind: 'cluster', nodes: cluster.urls }, stop: () => cluster.stop() };
  }
  if (asked === 'sentinel') {
    const started = await startSentinels({ args: KEEPS_NOTHING });
    const { name, sentinels } = started;
    return { setUp: { kind: 'sentinel', name, sentinels, primary: (await started.primary()).url }, stop: () => started.stop() };
  }
  return { setUp: { kind: 'server' }, stop: async () => {} };
}
