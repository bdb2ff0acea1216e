// Bad names, wherever a name is given: refused with what was expected, and nothing is written.
import { category, type Event, EventStore, type Projection, projection, SnapshotStore, source, streamName, type StreamName } from 'millrace';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testUrl, uniqueNamespace } from '../support/clients.ts';
import { note, notes, openStore } from '../support/store.ts';
import { badNames, invalidInputOf, writingNothing } from './refused.ts';

const namespace = uniqueNamespace();
let store: EventStore;

beforeAll(async () => {
  store = await openStore({ namespace });
  await store.append(notes.stream('1'), note(1));
});
afterAll(() => store?.close());

/** What a caller without types, or with data from outside, may hand over. */
const text = (value: unknown): string => value as string;

describe.each(badNames)('a name that is %s', (_wrong, name) => {
  it('is no category, and no projection', async () => {
    await invalidInputOf(() => category(text(name)));
    const definition = { categories: [notes], initialState: () => 0, evolve: (state: number) => state };
    await invalidInputOf(() => projection({ ...definition, name: text(name) }));
    await writingNothing(namespace, async () => {
      await invalidInputOf(() => store.readCategory({ name: text(name) }));
      await invalidInputOf(() => store.subscribe({ categories: [{ name: text(name) }] }));
    });
  });

  it('is no id of a stream', async () => {
    expect((await invalidInputOf(() => notes.stream(text(name)))).what).toBe('stream id');
    await writingNothing(namespace, () => invalidInputOf(() => store.execute(counter, text(name), 'count')));
  });
});

describe.each(badNames.filter(([, name]) => name !== undefined))('a namespace that is %s', (_wrong, name) => {
  it('is refused', async () => {
    await invalidInputOf(() => EventStore.connect(testUrl(), { namespace: text(name) }));
  });
});

describe.each(badNames.filter(([, name]) => typeof name === 'string'))('the name of a stream with a half that is %s', (_wrong, half) => {
  it.each([`notes:${text(half)}`, `${text(half)}:1`])('is refused wherever it is given (%#)', async (name) => {
    await invalidInputOf(() => streamName(name));
    const bad = name as StreamName;
    await writingNothing(namespace, async () => {
      await invalidInputOf(() => store.append(bad, note(1)));
      await invalidInputOf(() =>
        store.appendAll([
          { stream: notes.stream('1'), events: note(1) },
          { stream: bad, events: note(1) },
        ]),
      );
      await invalidInputOf(() => store.append(notes.stream('1'), note(1), { guards: [{ stream: bad, expectedVersion: 0 }] }));
      await invalidInputOf(() => store.readStream(bad));
    });
  });
});

// Stands for streams whose id comes from outside.
const counter = notes.decider({ initialState: () => 0, evolve: (count) => count + 1, decide: (_command: string, count) => [note(count)] });

describe('a name with a colon', () => {
  it('is no category and no projection, but an id of a stream', async () => {
    await invalidInputOf(() => category('a:b'));
    await invalidInputOf(() => projection({ name: 'a:b', categories: [notes], initialState: () => 0, evolve: (state) => state }));
    await invalidInputOf(() => projection({ name: 'a@b', categories: [notes], initialState: () => 0, evolve: (state) => state }));
    expect(notes.stream('a:b')).toBe('notes:a:b');
    const { streamVersion } = await store.append(notes.stream('a:b'), note(1));
    expect(streamVersion).toBe(1);
  });

  it('is no namespace, nor is a pattern', async () => {
    for (const bad of ['a:b', 'a*', 'a?', 'a[b]', 'a\\b']) await invalidInputOf(() => EventStore.connect(testUrl(), { namespace: bad }));
  });
});

describe('the name of a stream', () => {
  it.each([[''], ['notes'], [':1'], ['notes:'], [1], [null], [undefined], [{}]])(
    'is refused without a category, a colon and an id: %j',
    async (name) => {
      await invalidInputOf(() => streamName(text(name)));
      await writingNothing(namespace, () => invalidInputOf(() => store.append(text(name) as StreamName, note(1))));
    },
  );

  it('says what a name without a colon lacks', async () => {
    const { message } = await invalidInputOf(() => streamName('user_updates'));
    expect(message).toBe(
      'Invalid stream name: expected a text like "user_updates:1", a category and an id with a colon between, found "user_updates". Nothing was written.',
    );
  });

  it('is not shown whole where it is long', async () => {
    const { message } = await invalidInputOf(() => streamName(`notes:${'a'.repeat(1_048_576)}`));
    expect(message).toContain(`found "${'a'.repeat(60)}"… (1048576 characters)`);
  });

  it('shows what would move the cursor of a terminal as an escape', async () => {
    const { message } = await invalidInputOf(() => notes.stream('\u001b[2J\u009b\u202e x'));
    expect(message).toContain('found "\\u001b[2J\\u009b\\u202e x"');
  });

  it('may be any text beside, up to 512 bytes', async () => {
    for (const id of ['é'.repeat(256), '日本', '😀', 'a/b?c=d&e', '..', 'constructor', '"', "'", '*', '%7B', '-1']) {
      const { streamVersion } = await store.append(notes.stream(id), note(7));
      expect(streamVersion).toBe(1);
      for await (const event of store.readStream(notes.stream(id))) expect(event.streamName).toBe(`notes:${id}`);
    }
  });
});

// In these, white space and braces are welcome, and characters are counted.
const badTexts = badNames.filter(([wrong]) => !/space|separator|brace|byte too long/.test(wrong));

describe.each(badTexts)('the type of an event that is %s', (_wrong, type) => {
  it('is refused', async () => {
    await writingNothing(namespace, async () => {
      const event = { type, data: { n: 1 } } as Event<'Noted', { readonly n: number }>;
      expect((await invalidInputOf(() => store.append(notes.stream('1'), event))).what).toBe('event type');
    });
  });
});

describe.each(badTexts.filter(([, id]) => id !== undefined))('the id of an event that is %s', (_wrong, id) => {
  it('is refused', async () => {
    await writingNothing(namespace, async () => {
      expect((await invalidInputOf(() => store.append(notes.stream('1'), { ...note(1), id: text(id) }))).what).toBe('event id');
    });
  });
});

describe('an idempotency key', () => {
  it.each([[''], ['a'.repeat(1_048_576)], ['a\ud800'], [1], [null], [{}]])('is refused: %#', async (bad) => {
    await writingNothing(namespace, async () => {
      await invalidInputOf(() => store.append(notes.stream('1'), note(1), { idempotencyKey: text(bad) }));
      await invalidInputOf(() => store.execute(counter, '1', 'count', { idempotencyKey: text(bad) }));
    });
  });

  it('may be any other text, since it is nothing but compared', async () => {
    for (const idempotencyKey of ['a b', 'a\nb', '{', '}', '\u0000', '__proto__', '日本', ':']) {
      const first = await store.append(notes.stream(`key`), note(1), { idempotencyKey });
      expect(await store.append(notes.stream(`key`), note(1), { idempotencyKey })).toEqual({ ...first, isRepeated: true });
    }
  });

  it.each([[0], [-1], [1.5], [Number.NaN], [Number.POSITIVE_INFINITY], [2 ** 53], ['1000'], [null]])('is refused with the time %s', async (ttl) => {
    await writingNothing(namespace, async () => {
      await invalidInputOf(() => store.append(notes.stream('1'), note(1), { idempotencyKey: 'k', idempotencyTtlMs: ttl as number }));
    });
  });
});

describe('the key of a document', () => {
  const sums: Projection<number> = projection({ name: 'sums', categories: [notes], initialState: () => 0, evolve: (sum) => sum });

  it.each([[''], ['a'.repeat(1_025)], ['é'.repeat(513)], ['a\ud800'], [1], [null], [undefined], [{}]])('is refused: %#', async (key) => {
    const snapshots = new SnapshotStore(store);
    expect((await invalidInputOf(() => snapshots.get(sums, text(key)))).what).toBe('document key');
    await invalidInputOf(() => snapshots.getMany(sums, ['1', text(key)]));
  });

  it('may be any other text', async () => {
    const snapshots = new SnapshotStore(store);
    for (const key of ['a b', '\u0000', '{', '}', '__proto__', '*', '😀'])
      expect(await snapshots.get(sums, key, { whileBuilding: true })).toBeUndefined();
  });
});

describe('the key of a source', () => {
  it.each([[''], ['a\ud800'], [1], [null], [undefined]])('is refused: %#', async (key) => {
    await invalidInputOf(() => source({ key: text(key), into: notes, decode: () => undefined }));
  });
});
