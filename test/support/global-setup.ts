// Finds the one engine that all test files share, and says which engine and client this run is about.
import { embeddedEngine, findEngine } from '../../examples/engine.ts';

/** Test processes inherit the environment, and with it the two names set here. */
export async function setup(): Promise<() => Promise<void>> {
  const client = process.env['MILLRACE_TEST_CLIENT'] ?? 'node-redis';
  if (client !== 'node-redis' && client !== 'ioredis') throw new Error(`MILLRACE_TEST_CLIENT must be node-redis or ioredis, found ${client}`);
  // So that the embedded one can be tested where there are others.
  const engine = process.env['MILLRACE_TEST_ENGINE'] === 'embedded' ? await embeddedEngine() : await findEngine();
  process.env['MILLRACE_TEST_URL'] = engine.url;
  process.env['MILLRACE_TEST_CLIENT'] = client;
  console.log(`engine: ${engine.description}; client: ${client}`);
  return () => engine.close();
}
