// Figures of rebuilding: how fast two processes build a new version of a projection, and what that does to those who append meanwhile.
import { EventStore } from 'millrace';
import { appender } from './append.ts';
import { type Bench, type BenchEngine, newNamespace } from './engines.ts';
import type { Figure, Sides } from './figure.ts';
import { endAll, projectBy, Projector, sharesOf, startProjectors, storeOn } from './processes.ts';
import { checkCount, totals } from './project.ts';
import { forEachNumber, friendAdded, friends, randomNumbers, rateOf, secondsOf } from './workload.ts';

const EVENTS = 200_000;
const DOCUMENTS = 20_000;
const PARTITIONS = 8;
const WAITING = 50;
const SIDE_MS = 600;
const RATE = 20_000;

export const rebuildFigures: readonly Figure[] = [
  {
    name: 'rebuild',
    what: `a new version over ${EVENTS.toLocaleString('en')} events that are there, ${PARTITIONS} partitions, by two processes`,
    unit: 'events/s',
    beside: 'one process that projects the same events as they are appended, 1,000 waiting: from the first append until all are projected',
    aim: 1.3,
    compare: 'ratio>=',
    roundsMax: 3,
    open: openRebuild,
  },
  whileRebuilding('append-while-rebuilding', undefined),
  whileRebuilding('append-while-rebuilding-slowly', RATE),
];

function whileRebuilding(name: string, eventsPerSecond: number | undefined): Figure {
  const speed = eventsPerSecond === undefined ? 'as fast as it can' : `with eventsPerSecond: ${eventsPerSecond.toLocaleString('en')}`;
  return {
    name,
    what: `${WAITING} appends waiting at any time, while another process rebuilds a projection ${speed}`,
    unit: 'appends/s',
    beside: 'the same while none does',
    aim: null,
    compare: 'ratio>=',
    roundsMax: 5,
    open: ({ engine }) => openAppending(engine, eventsPerSecond),
  };
}

/** A store of several partitions, filled or not. */
export async function openFilled(engine: BenchEngine, namespace: string, events: number): Promise<EventStore> {
  const store = await EventStore.connect(engine.url, { library: 'node-redis', namespace, partitions: PARTITIONS });
  await fill(store, events);
  return store;
}

async function fill(store: EventStore, events: number): Promise<void> {
  const random = randomNumbers(1);
  await forEachNumber(events, (number) => store.append(friends.stream(String(random(DOCUMENTS))), friendAdded(number)));
}

async function openRebuild({ engine }: Bench): Promise<Sides> {
  const namespace = newNamespace();
  const store = await openFilled(engine, namespace, EVENTS);
  const projectors = await startProjectors(2);
  const at = storeOn(engine, namespace);
  let version = 0;
  let shares = '';
  const namespaces = [namespace];
  return {
    ours: async () => {
      version += 1;
      return EVENTS / (await secondsOf(async () => (shares = sharesOf(await projectBy(projectors, at, version)))));
    },
    beside: async () => {
      const live = newNamespace();
      namespaces.push(live);
      return EVENTS / (await secondsOfLive(engine, live, projectors[0] as Projector));
    },
    note: () => shares,
    [Symbol.asyncDispose]: async () => {
      try {
        await checkCount(store, totals('totals', version), EVENTS, DOCUMENTS);
      } finally {
        await endAll(projectors);
        await store.close();
        for (const each of namespaces) await engine.clear(each);
      }
    },
  };
}

async function secondsOfLive(engine: BenchEngine, namespace: string, projector: Projector): Promise<number> {
  await using store = await openFilled(engine, namespace, 0);
  await projector.tell({ run: 'begin', at: storeOn(engine, namespace), version: 1, isEmpty: true });
  const seconds = await secondsOf(async () => {
    await fill(store, EVENTS);
    await projector.tell({ run: 'reach', events: EVENTS });
  });
  await projector.tell({ run: 'end' });
  await checkCount(store, totals('totals', 1), EVENTS, DOCUMENTS);
  return seconds;
}

async function openAppending(engine: BenchEngine, eventsPerSecond: number | undefined): Promise<Sides> {
  const namespace = newNamespace();
  const store = await openFilled(engine, namespace, EVENTS);
  const projector = await Projector.start();
  const appendNew = appender(store, WAITING, DOCUMENTS);
  const rate = (): Promise<number> => rateOf(WAITING, SIDE_MS, appendNew);
  let version = 0;
  return {
    ours: async () => {
      version += 1;
      const at = storeOn(engine, namespace);
      await projector.tell({ run: 'begin', at, version, isEmpty: false, ...(eventsPerSecond !== undefined && { eventsPerSecond }) });
      const rateMeanwhile = await rate();
      const { events } = await projector.tell({ run: 'end' });
      if (events >= EVENTS) throw new Error('The rebuild was over before the appends were.');
      return rateMeanwhile;
    },
    beside: rate,
    [Symbol.asyncDispose]: async () => {
      await endAll([projector]);
      await store.close();
      await engine.clear(namespace);
    },
  };
}
