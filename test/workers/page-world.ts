// A store with much in it, some of it hostile, a processor that runs on it, and the page over it as `millrace ui` serves it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { EventStore, StreamProcessor } from 'millrace';
import * as app from './page-app.ts';

/** This file is run as it stands, and compiled into build/workers, as deep. */
const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

export interface World extends AsyncDisposable {
  readonly store: EventStore;
  readonly namespace: string;
  /** Stops and starts what runs the projections and reactors. */
  readonly processor: StreamProcessor;
  /** Serves the page, and says where. */
  serve(options?: ServeOptions): Promise<Served>;
}

export interface ServeOptions {
  readonly allowWrites?: boolean;
  /** With the code of the projections. Default true. */
  readonly hasCode?: boolean;
  readonly port?: number;
}

export interface Served {
  /** With the token. */
  readonly url: string;
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

export interface WorldOptions {
  readonly url: string;
  readonly namespace: string;
  /** Events of orders beside the others. */
  readonly events: number;
}

/** Makes one, and waits until everything in it is folded. */
export async function makeWorld({ url, namespace, events }: WorldOptions): Promise<World> {
  const store = await EventStore.connect(url, { namespace });
  await fillOrders(store, events);
  await fillPayments(store);
  await fillHostile(store);
  const { orderDocuments, balances, balances2, hostileDocuments, receipts, hostileReactor, fulfilment } = app;
  const projections = [orderDocuments, balances, balances2, hostileDocuments];
  const reactors = [receipts, hostileReactor, fulfilment];
  await new StreamProcessor(store, { projections, reactors }).runUntilCaughtUp();
  const processor = new StreamProcessor(store, { projections, reactors });
  processor.start();
  const served = new Set<Served>();
  return {
    store,
    namespace,
    processor,
    serve: async (options) => {
      const one = await serve({ url, namespace }, options);
      served.add(one);
      return one;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...served].map((one) => one.stop()));
      await processor.stop();
      await store.close();
    },
  };
}

async function serve(
  of: Pick<WorldOptions, 'url' | 'namespace'>,
  { allowWrites = true, hasCode = true, port = 0 }: ServeOptions = {},
): Promise<Served> {
  const args = ['-u', of.url, '-n', of.namespace, ...(hasCode ? ['--app', at('build/workers/page-app.js')] : [])];
  const child = spawn(process.execPath, [at('dist/cli/main.js'), ...args, 'ui', '--port', String(port), ...(allowWrites ? ['--allow-writes'] : [])], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const end = (): boolean => child.kill('SIGKILL');
  process.once('exit', end); // whatever ends this process
  const stop = async (): Promise<void> => {
    process.off('exit', end);
    if (child.exitCode !== null || child.signalCode !== null) return;
    end();
    await once(child, 'exit');
  };
  const exited = once(child, 'exit').then(() => {
    throw new Error('millrace ui ended before it said where the page is');
  });
  const lines = once(createInterface(child.stdout), 'line').then(([line]) => String(line));
  const line = await Promise.race([lines, exited]);
  void exited.catch(() => {}); // it ends one day
  return { url: /http\S+/.exec(line)?.[0] ?? '', process: child, stop };
}

const CITIES = ['Basel', 'Bologna', 'Bordeaux', 'Bergen', 'Brno'];
const EACH = 10;
/** Appends under way at the same time. */
const AT_ONCE = 500;

/** Ten events an order. */
async function fillOrders(store: EventStore, events: number): Promise<void> {
  const count = Math.ceil(events / EACH);
  for (let first = 1; first <= count; first += AT_ONCE) {
    const ids = Array.from({ length: Math.min(AT_ONCE, count - first + 1) }, (_, index) => first + index);
    await Promise.all(ids.map((id) => store.append(app.orders.stream(`order-${id}`), orderEvents(id), { expectedVersion: 'any' })));
  }
}

function orderEvents(id: number): app.OrderEvent[] {
  const items = Array.from(
    { length: EACH - 4 },
    (_, n): app.OrderEvent => ({ type: 'ItemAdded', data: { sku: `sku-${(id + n * 7) % 97}`, price: 5 + ((id * (n + 1)) % 40) } }),
  );
  const metadata = { correlationId: `basket-${id}` };
  return [
    { type: 'OrderPlaced', data: { customer: `customer-${id % 900}`, city: CITIES[id % CITIES.length] ?? '' }, metadata },
    ...items,
    { type: 'ItemRemoved', data: { sku: `sku-${id % 97}` } },
    { type: 'OrderPaid', data: { amount: 60 + (id % 90) }, metadata: { ...metadata, causationId: `orders:order-${id}@1` } },
    { type: 'OrderShipped', data: { carrier: 'Pigeon & Sons' } },
  ];
}

/** Of which three cannot have a receipt. */
async function fillPayments(store: EventStore): Promise<void> {
  for (let id = 1; id <= 12; id += 1) {
    const stream = app.payments.stream(`card-${id}`);
    const data = { amount: id % 4 === 0 ? -id : 10 * id, card: `•••• ${4_000 + id}` };
    await store.append(stream, { type: 'PaymentRequested', data: { ...data, amount: 10 * id } }, { expectedVersion: 'no-stream' });
    await store.append(stream, { type: 'PaymentReceived', data, metadata: { causationId: `payments:card-${id}@1` } }, { expectedVersion: 1 });
  }
}

/** What would run if any of it were taken for HTML, and what breaks layouts. */
export const HOSTILE = {
  id: '<img/src=x/onerror=window.hacked="id">',
  type: '"><script>window.hacked="type"</script>',
  rightToLeft: 'start\u202Egnorw\u2067שלום',
  long: 'x'.repeat(400),
  data: {
    '<script>window.hacked="key"</script>': '<img src=x onerror="window.hacked=\'value\'">',
    link: 'javascript:window.hacked="link"',
    template: '${window.hacked="template"}{{constructor.constructor("window.hacked=1")()}}',
    __proto: { constructor: '<svg onload=window.hacked=1>' },
    'a.b': [null, '\u0000\u202Egnorw', 'x'.repeat(50_000)],
  },
} as const;

async function fillHostile(store: EventStore): Promise<void> {
  const metadata = { '<b>key</b>': '</script><script>window.hacked="metadata"</script>', causationId: '<script>window.hacked="cause"</script>' };
  const events = [HOSTILE.type, HOSTILE.rightToLeft, HOSTILE.long].map((type) => ({ type, data: HOSTILE.data, metadata }));
  await store.append(app.hostiles.stream(HOSTILE.id), events, { expectedVersion: 'no-stream' });
  await store.append(app.hostiles.stream(HOSTILE.long), { type: 'Long', data: {} }, { expectedVersion: 'no-stream' });
}
