// Starts the profile service on an engine that it finds, feeds it, says what to try, and ends at Ctrl-C.
import { once } from 'node:events';
import { SingleBar } from 'cli-progress';
import type { StreamProcessor } from 'millrace';
import { findEngine } from '../engine.ts';
import { userUpdates } from './domain.ts';
import { feed } from './feed.ts';
import { type Service, startService } from './service.ts';

const PORT_DEFAULT = 3_000;

try {
  await main(interruption());
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function main(interrupted: AbortSignal): Promise<void> {
  const port = portFrom(process.env['PORT']);
  await using engine = await findEngine();
  console.log(`Engine: ${engine.description}.`);
  await using service = await startService(engine.url, { port, onSkip });
  tellTroubles(service.processor);
  console.log(`The profile service answers at ${service.url}. Ctrl-C stops it.`);
  try {
    await feedWithProgress(service, interrupted);
    await service.processor.runUntilCaughtUp({ signal: interrupted }); // what is printed next is answered in full
    console.log(await whatToTry(service, engine.url));
    if (!interrupted.aborted) await once(interrupted, 'abort');
  } catch (error) {
    if (!interrupted.aborted) throw error;
  }
  console.log('\nStopping …');
}

function onSkip(key: string, entryId: string, { message }: Error): void {
  console.error(`${key}: entry ${entryId} was skipped: ${message}. GET /progress counts such entries.`);
}

/** The rest goes on; what stands still needs somebody. */
function tellTroubles(processor: StreamProcessor): void {
  processor.on('failed', ({ error }) => console.error(error instanceof Error ? error.message : error));
}

/** Aborts at the first Ctrl-C; a later one ends the program at once. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  let firstAt: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      firstAt ??= performance.now();
      controller.abort();
      // npm passes on what the terminal has sent to us already: one Ctrl-C arrives twice.
      if (performance.now() - firstAt > 500) process.exit(130);
    });
  }
  return controller.signal;
}

function portFrom(text: string | undefined): number {
  if (text === undefined || text === '') return PORT_DEFAULT;
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new Error(`PORT must be a number from 0 (any free one) to 65535, found ${JSON.stringify(text)}.`);
  return Number(text);
}

/** A bar where somebody looks, one line where not. */
async function feedWithProgress({ store }: Service, signal: AbortSignal): Promise<void> {
  const start = performance.now();
  const bar = new SingleBar({ format: 'Feeding {bar} {percentage}% | {events} events', hideCursor: true, noTTYOutput: false, clearOnComplete: true });
  let isShown = false;
  try {
    const { events } = await feed(store, {
      signal,
      onProgress: ({ users, usersTotal, events }) => {
        if (isShown) bar.update(users, { events });
        else bar.start(usersTotal, users, { events });
        isShown = true;
      },
    });
    if (isShown) bar.stop();
    console.log(
      `Fed ${events.toLocaleString('en')} events in ${((performance.now() - start) / 1_000).toFixed(1)} s${events === 0 ? ': all of them were there' : ''}.`,
    );
  } finally {
    if (isShown) bar.stop();
  }
}

async function whatToTry({ store, url }: Service, engineUrl: string): Promise<string> {
  const { hostname, port } = new URL(engineUrl);
  let then = new Date();
  for await (const event of store.readStream(userUpdates.stream('duffy'), { limit: 1 })) then = event.recordedAt;
  return [
    '',
    'Try:',
    `  curl ${url}/users/duffy/profile`,
    `  curl '${url}/users/duffy/profile?at=${then.toISOString()}'`,
    `  curl ${url}/users/duffy/history`,
    `  curl ${url}/users -H 'Content-Type: application/json' -H 'Idempotency-Key: first' -d '{"name":"Daffy","surname":"Duck"}'`,
    `  curl ${url}/users/duffy/rename -H 'Content-Type: application/json' -d '{"name":"Daffy"}'`,
    '',
    'Or as in the article, in another terminal (what it says of user 1 is to be seen at once):',
    `  redis-cli -h ${hostname} -p ${port || 6379} XADD user_updates '*' user_id 1 command register name Duffy surename Duck`,
    `  curl ${url}/users/1/profile`,
  ].join('\n');
}
