// Every error that the library exports: brought about for real, with the code that it keeps for ever, and told apart across copies of the package.
import * as millrace from 'millrace';
import {
  ConnectionFailedError,
  CorruptDocumentError,
  CorruptEntryError,
  CorruptScheduleError,
  DeliveryFailedError,
  DocumentTooLargeError,
  EventStore,
  IdempotencyKeyReusedError,
  InUseError,
  InvalidInputError,
  isMillraceError,
  LogLostError,
  MillraceError,
  NotCaughtUpError,
  OutcomeUnknownError,
  PartitionMismatchError,
  PausedError,
  ProcessConflictError,
  ProcessorControl,
  ProjectionChangedError,
  ProjectionFailedError,
  projection,
  projectionLimits,
  type RecordedEvent,
  ReactionFencedError,
  ReactionTimeoutError,
  ReactorFailedError,
  reactor,
  ServerRefusedError,
  serving,
  SnapshotStore,
  SourceFailedError,
  source,
  StoreClosedError,
  StoreMismatchError,
  StreamProcessor,
  type StreamProcessorOptions,
  streamName,
  type Token,
  UnconfirmedError,
  UnknownVersionError,
  UnsuitableServerError,
  VersionConflictError,
} from 'millrace';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort } from '../../examples/engine-process.ts';
import { connectRaw, type RawClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { collect, marks, note, type Noted, notes, openStore } from '../support/store.ts';
import { deadLetterOf, loseReplyAndRecord, overrun } from './brought-about.ts';
import { bulk, startFakeServer } from './fake-server.ts';
import { expectFitToShow, refusalOf } from './refused.ts';

const namespace = uniqueNamespace();
let store: EventStore;
let raw: RawClient;

beforeAll(async () => {
  raw = await connectRaw(testUrl());
  store = await openStore({ url: testUrl(), namespace });
  await store.append(notes.stream('1'), note(1));
});
afterAll(async () => {
  await store?.close();
  raw?.close();
});

const definition = { initialState: () => ({}), evolve: (state: object): object => state };
const folding = (name: string, evolve: (state: object, event: RecordedEvent<Noted>) => object = definition.evolve) =>
  projection({ name, categories: [notes], ...definition, evolve });

async function process(options: StreamProcessorOptions): Promise<void> {
  await using processor = new StreamProcessor(store, options);
  await processor.runUntilCaughtUp();
}

/** How each comes about, and the code that programs go by. A code never changes; a new error is a new line. */
const errors: readonly (readonly [code: string, error: abstract new (...args: never[]) => MillraceError, happens: () => unknown, says: RegExp])[] = [
  ['invalid-input', InvalidInputError, () => streamName('x'), /expected a text like "user_updates:1"/],
  [
    'partition-mismatch',
    PartitionMismatchError,
    async () => {
      await using own = await openStore({ partitions: 3 });
      await own.appendAll(['1', '2', '3', '4'].map((id) => ({ stream: notes.stream(id), events: note(1) })));
    },
    /lie in partitions \d and \d of 3.*Nothing was written\. Give streams that change together the same id, or use a store with one partition\./,
  ],
  [
    'version-conflict',
    VersionConflictError,
    () => store.append(notes.stream('1'), note(1), { expectedVersion: 0 }),
    /expected version 0, found 1\. Nothing was written/,
  ],
  [
    'outcome-unknown',
    OutcomeUnknownError,
    () => loseReplyAndRecord(raw, namespace),
    /It was written whole, once, or not at all\. To find out, read the stream/,
  ],
  [
    'idempotency-key-reused',
    IdempotencyKeyReusedError,
    async () => {
      await store.append(notes.stream('key'), note(1), { idempotencyKey: 'k' });
      await store.append(notes.stream('key'), note(2), { idempotencyKey: 'k' });
    },
    /^The idempotency key "k" was used before with another request\. Nothing was written\. Send a new key/,
  ],
  [
    'connection-failed',
    ConnectionFailedError,
    async () => EventStore.connect(`redis://127.0.0.1:${await freePort()}`, { timeoutMs: 100 }),
    /nothing listens there/,
  ],
  [
    'unsuitable-server',
    UnsuitableServerError,
    async () => {
      await using server = await startFakeServer({ INFO: () => bulk('redis_version:6.0.0') });
      await EventStore.connect(server.url);
    },
    /found 6\.0\.0\. Nothing was written\. Update the server/,
  ],
  [
    'server-refused',
    ServerRefusedError,
    async () => {
      await raw.send('SET', `{${namespace}:0}:log:papers`, 'x');
      await collect(store.readCategory({ name: 'papers' }));
    },
    /^Could not read the log: .*WRONGTYPE.* look at it with TYPE\./,
  ],
  [
    'store-mismatch',
    StoreMismatchError,
    () => openStore({ url: testUrl(), namespace, partitions: 2 }),
    /Expected 2 partitions, found a store with 1/,
  ],
  [
    'store-closed',
    StoreClosedError,
    async () => {
      const own = await openStore();
      await own.close();
      await own.append(notes.stream('1'), note(1));
    },
    /^The store is closed\. Open another one with EventStore\.connect\./,
  ],
  [
    'log-lost',
    LogLostError,
    async () => {
      await using own = await openStore();
      const { token } = await own.append(notes.stream('1'), note(1));
      const [storeId = ''] = token.split('.');
      await new SnapshotStore(own).get(folding('lost'), '1', { atLeast: `${storeId}.3000000000000-0` as Token });
    },
    /^The log of partition 0 ends at .*A flush, a restored backup or a failover/,
  ],
  [
    'corrupt-entry',
    CorruptEntryError,
    async () => {
      await raw.send('XADD', `{${namespace}:0}:log:others`, '*', 'a', 'b');
      await collect(store.readCategory({ name: 'others' }));
    },
    /is not one of this library's: expected the fields type, id, version and data/,
  ],
  [
    'corrupt-document',
    CorruptDocumentError,
    async () => {
      const documents = folding('corrupt', () => ({ a: 1 }));
      await process({ projections: [documents] });
      await raw.send('HSET', `{${namespace}:0}:snapshot:corrupt@1:1`, 'b', '{broken');
      await new SnapshotStore(store).get(documents, '1');
    },
    /^Field "b" of "\{.+\}:snapshot:corrupt@1:1" cannot be read: expected text that the codec of this store can decode, found "\{broken"\./,
  ],
  [
    'corrupt-schedule',
    CorruptScheduleError,
    async () => {
      await using own = await openStore({ url: testUrl(), namespace: `${namespace}-schedule` });
      const { id } = await own.schedule(notes.stream('1'), note(1), { deliverAt: 0 });
      await raw.send('HSET', `{${namespace}-schedule:0}:scheduled`, id, 'broken');
      for await (const each of own.readScheduled()) expect.unreachable(each.id);
    },
    /^What is scheduled under "0\..+" in \{.+\}:scheduled cannot be read: expected a stream's name and its events, found "broken"\. Look at it with HGET/,
  ],
  [
    'delivery-failed',
    DeliveryFailedError,
    async () => {
      await using own = await openStore({ url: testUrl(), namespace: `${namespace}-delivery` });
      await own.schedule(notes.stream('1'), note(1), { deliverAt: 0 });
      await raw.send('SET', `{${namespace}-delivery:0}:stream:notes:1`, 'no list');
      await new StreamProcessor(own).runUntilCaughtUp();
    },
    /^The events scheduled as 0\..+ for stream "notes:1" could not be delivered: .*They are tried again in 1 s; later ones of that stream wait behind them\./,
  ],
  [
    'projection-failed',
    ProjectionFailedError,
    () =>
      process({
        projections: [
          folding('failing', () => {
            throw new Error('no such page');
          }),
        ],
      }),
    /^Projection "failing@1" stopped at event "Noted", notes:1@1, position .*: no such page\. Nothing of this event was stored\. Mend the projection/,
  ],
  [
    'projection-changed',
    ProjectionChangedError,
    async () => {
      await process({ projections: [folding('changing')] });
      await process({ projections: [projection({ name: 'changing', categories: [notes, marks], ...definition })] });
    },
    /Raise the version of the projection/,
  ],
  [
    'document-too-large',
    DocumentTooLargeError,
    async () => {
      const failure = await refusalOf(() =>
        process({ projections: [folding('large', () => ({ text: 'a'.repeat(projectionLimits.documentBytes) }))] }),
      );
      throw failure.cause;
    },
    /^Document "1" of .*large.* takes \d+ bytes, and at most 4194304 are stored/,
  ],
  [
    'source-failed',
    SourceFailedError,
    async () => {
      const key = `${namespace}-source`;
      await raw.send('XADD', key, '*', 'a', 'b');
      const decode = (): never => {
        throw new Error('what is it?');
      };
      await process({ sources: [source({ key, into: notes, decode })] });
    },
    /stopped at entry \d+-0: what is it\? Nothing of it was imported\. Mend its decode/,
  ],
  [
    'unconfirmed',
    UnconfirmedError,
    async () => {
      await using own = await openStore({ url: testUrl(), namespace, durability: { replicas: 9, timeoutMs: 10 } });
      await own.append(notes.stream('unconfirmed'), note(1));
    },
    /^Written, but not confirmed: the log holds it, up to position .*, and \d of 9 replicas confirmed it: .* Repeat it with the same idempotencyKey/,
  ],
  [
    'reactor-failed',
    ReactorFailedError,
    () =>
      process({
        reactors: [
          reactor({
            name: 'keyless',
            categories: [notes],
            key: () => {
              throw new Error('no such key');
            },
            handle: () => undefined,
          }),
        ],
      }),
    /^Reactor "keyless@1" stopped before event "Noted", notes:1@1, position .*: no such key\. Mend that and start the processor again/,
  ],
  [
    'reaction-timeout',
    ReactionTimeoutError,
    () =>
      deadLetterOf(
        store,
        reactor({ name: 'hanging', categories: [notes], retry: { attempts: 1 }, timeoutMs: 5, handle: () => new Promise(() => undefined) }),
      ),
    /^Reactor "hanging@1" did not finish event "Noted", notes:1@1, within 5 ms\. Heed the signal of the context/,
  ],
  [
    'reaction-fenced',
    ReactionFencedError,
    async () => {
      let refused: unknown;
      const overtaken = reactor({
        name: 'overtaken',
        categories: [notes],
        handle: async (_event, context) => {
          await raw.send('HINCRBY', `{${namespace}:0}:reactions:overtaken@1:0`, 'epoch', '1');
          await context.append(marks.stream('overtaken'), note(1)).catch((error: unknown) => {
            refused ??= error;
          });
        },
      });
      await process({ reactors: [overtaken] });
      throw refused;
    },
    /^Another process took over from reactor "overtaken@1" while this handler ran.*Nothing was written\. Let the handler end/,
  ],
  [
    'process-conflict',
    ProcessConflictError,
    () => deadLetterOf(store, overrun(store)),
    /^Process manager "overrun@1" decided 100 times, and each time others had appended to a stream that it commands/,
  ],
  [
    'not-caught-up',
    NotCaughtUpError,
    async () => {
      const { token } = await store.append(notes.stream('1'), note(2));
      await new SnapshotStore(store).get(folding('nobody-runs'), '1', { atLeast: token, timeoutMs: 20 });
    },
    /^Projection nobody-runs@1 did not reach position .* within 20 ms\. Check that a StreamProcessor runs it/,
  ],
  [
    'paused',
    PausedError,
    async () => {
      await new ProcessorControl(store).pause(folding('paused'));
      await process({ projections: [folding('paused')] });
    },
    /^The projection paused@1 cannot catch up in partition 0: it is paused\. Nothing was lost\. Let it go on with ProcessorControl\.resume\.$/,
  ],
  [
    'unknown-version',
    UnknownVersionError,
    async () => {
      await new ProcessorControl(store).serve(folding('serves'), { evenIfBehind: true });
      await new SnapshotStore(store).get(serving({ ...folding('serves'), version: 2 }), '1');
    },
    /^Version 1 of projection "serves" serves, and this reader knows 2\. Nothing was read\. Deploy the reader/,
  ],
  [
    'in-use',
    InUseError,
    async () => {
      await new ProcessorControl(store).serve(folding('in-use'), { evenIfBehind: true });
      await new ProcessorControl(store).drop(folding('in-use'));
    },
    /^Version 1 of projection in-use serves\. Nothing was dropped\. Flip its readers to another version with ProcessorControl\.serve/,
  ],
];

describe('an error', () => {
  it.for(errors)('%s is what it says', async ([code, type, happens, says], { skip }) => {
    const error = await refusalOf(happens);
    if (code === 'unconfirmed' && error.code === 'unsuitable-server') skip('the embedded engine has no replicas to wait for');
    expect(error).toBeInstanceOf(type);
    expect(error).toBeInstanceOf(MillraceError);
    expect(error.code).toBe(code);
    expect(error.name).toBe(type.name);
    expect(error.message).toMatch(says);
    expect(isMillraceError(error, code)).toBe(true);
    expect(isMillraceError(error, 'another')).toBe(false);
    expectFitToShow(error);
  });

  it('is in this list, each with a code of its own', () => {
    const exported = Object.values(millrace).filter((each) => typeof each === 'function' && each.prototype instanceof MillraceError);
    expect(new Set(errors.map(([, type]) => type))).toEqual(new Set(exported));
    expect(new Set(errors.map(([code]) => code)).size).toBe(errors.length);
  });

  it('is known as one by every copy of the package', async () => {
    vi.resetModules();
    const copy = await import('../../src/errors.ts');
    const error = new copy.LogLostError('The log was lost.');
    expect(copy.LogLostError).not.toBe(LogLostError);
    expect(error).not.toBeInstanceOf(MillraceError);
    expect(isMillraceError(error)).toBe(true);
    expect(isMillraceError(error, 'log-lost')).toBe(true);
    expect(copy.isMillraceError(new LogLostError('The log was lost.'), 'log-lost')).toBe(true);
  });

  it('is nothing else that looks like one', () => {
    const others: readonly unknown[] = [
      new Error('x'),
      Object.assign(new Error('x'), { code: 'log-lost', name: 'LogLostError' }),
      { code: 'log-lost' },
      'log-lost',
      null,
      undefined,
      1,
      () => 1,
    ];
    for (const other of others) expect(isMillraceError(other)).toBe(false);
  });
});
