// Versions that cannot be expected, and more than may be appended at once: refused, and nothing is written.
import { appendLimits, type Event, type EventStore, type ExpectedVersion, type Guard } from 'millrace';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uniqueNamespace } from '../support/clients.ts';
import { note, notes, openStore, someNotes } from '../support/store.ts';
import { invalidInputOf, refusalOf, writingNothing } from './refused.ts';

const namespace = uniqueNamespace();
let store: EventStore;

beforeAll(async () => {
  store = await openStore({ namespace, partitions: 1 });
  await store.append(notes.stream('1'), note(1));
});
afterAll(() => store?.close());

type Wrote = Event<'Wrote', { readonly text: string }>;
const written = (text: string): Wrote => ({ type: 'Wrote', data: { text } });
const papers = 'papers:1';

describe('an expected version', () => {
  it.each<[unknown]>([
    [-1],
    [-0.5],
    [1.5],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
    [Number.NEGATIVE_INFINITY],
    [2 ** 53],
    [1e300],
    ['1'],
    [''],
    ['none'],
    ['exists'],
    ['Any'],
    [null],
    [true],
    [[]],
    [[1]],
    [{}],
    [1n],
    [new Date(1)],
  ])('of %s is refused, of a stream, of one of several, and of a guard', async (version) => {
    const expectedVersion = version as ExpectedVersion;
    const guards: readonly Guard[] = [{ stream: notes.stream('2'), expectedVersion }];
    await writingNothing(namespace, async () => {
      const { message } = await invalidInputOf(() => store.append(notes.stream('1'), note(2), { expectedVersion }));
      expect(message).toMatch(/^Invalid expectedVersion: expected a whole number from 0, 'no-stream', 'stream-exists' or 'any', found /);
      await invalidInputOf(() =>
        store.appendAll([
          { stream: notes.stream('2'), events: note(1) },
          { stream: notes.stream('1'), events: note(2), expectedVersion },
        ]),
      );
      await invalidInputOf(() => store.append(notes.stream('1'), note(2), { guards }));
    });
  });

  it('of a guard must be given', async () => {
    const guards = [{ stream: notes.stream('2') } as Guard];
    await writingNothing(namespace, () => invalidInputOf(() => store.append(notes.stream('1'), note(2), { guards })));
  });

  it('up to 2^53 - 1 may be asked for, and is a conflict', async () => {
    await writingNothing(namespace, async () => {
      const error = await refusalOf(() => store.append(notes.stream('1'), note(2), { expectedVersion: Number.MAX_SAFE_INTEGER }));
      expect(error).toMatchObject({ code: 'version-conflict', actualVersion: 1, expectedVersion: 9007199254740991, missedEvents: [] });
    });
  });

  it('of -0 is 0', async () => {
    expect(await store.append(notes.stream('zero'), note(1), { expectedVersion: -0 })).toMatchObject({ streamVersion: 1 });
  });
});

describe('an append', () => {
  it('of no events, or to no streams, is refused', async () => {
    await writingNothing(namespace, async () => {
      expect((await invalidInputOf(() => store.append(notes.stream('1'), []))).message).toBe(
        'Invalid events: expected at least one event, found an array of 0. Nothing was written.',
      );
      await invalidInputOf(() => store.appendAll([]));
      await invalidInputOf(() =>
        store.appendAll([
          { stream: notes.stream('1'), events: note(1) },
          { stream: notes.stream('2'), events: [] },
        ]),
      );
    });
  });

  it('of 1,000 events is taken, and of one more refused', async () => {
    expect(appendLimits.eventsOfAnAppend).toBe(1_000);
    expect(await store.append(notes.stream('many'), someNotes(1_000))).toMatchObject({ streamVersion: 1_000 });
    await writingNothing(namespace, async () => {
      const { message } = await invalidInputOf(() => store.append(notes.stream('many'), someNotes(1_001)));
      expect(message).toBe('Invalid append: expected at most 1000 events at once; make several appends of it, found 1001. Nothing was written.');
      const halves = ['a', 'b'].map((id) => ({ stream: notes.stream(id), events: someNotes(501) }));
      await invalidInputOf(() => store.appendAll(halves));
    });
  });

  it('to 1,000 streams, guards included, is taken, and to one more refused', async () => {
    const streams = Array.from({ length: 999 }, (_, index) => ({ stream: notes.stream(`wide-${index}`), events: note(1) }));
    const guard: Guard = { stream: notes.stream('none'), expectedVersion: 'no-stream' };
    expect((await store.appendAll(streams, { guards: [guard] })).streamVersions).toHaveLength(999);
    await writingNothing(namespace, async () => {
      const { message } = await invalidInputOf(() => store.appendAll(streams, { guards: [guard, guard] }));
      expect(message).toContain('at most 1000 streams, guards included');
    });
  });

  it('to one stream twice is refused', async () => {
    await writingNothing(namespace, async () => {
      const { message } = await invalidInputOf(() =>
        store.appendAll([
          { stream: notes.stream('1'), events: note(1) },
          { stream: notes.stream('1'), events: note(2) },
        ]),
      );
      expect(message).toMatch(/expected each stream once/);
    });
  });
});

describe('an event', () => {
  /** What the event of a text takes beside it: `{"text":""}`, and the name of its type. */
  const overhead = '{"text":""}'.length + 'Wrote'.length;
  const { eventBytes } = appendLimits;

  it('of 1 MiB is taken, and of one byte more refused', async () => {
    expect(eventBytes).toBe(1_048_576);
    await store.append(papers, written('a'.repeat(eventBytes - overhead)));
    await writingNothing(namespace, async () => {
      const { message } = await invalidInputOf(() => store.append(papers, written('a'.repeat(eventBytes - overhead + 1))));
      expect(message).toBe(
        'Invalid event "Wrote": expected at most 1048576 bytes of data and metadata, encoded, found 1048577 bytes. Nothing was written.',
      );
    });
  });

  it.each([
    ['é', 2],
    ['€', 3],
    ['😀', 4],
  ])('is measured in bytes, not in characters: %s', async (character, bytes) => {
    const fitting = Math.floor((eventBytes - overhead) / bytes);
    await store.append(papers, written(character.repeat(fitting)));
    await writingNothing(namespace, () => invalidInputOf(() => store.append(papers, written(character.repeat(fitting + 1)))));
  });

  it('is measured with its metadata and its id', async () => {
    const half = '€'.repeat(Math.floor(eventBytes / 6));
    await store.append(papers, { ...written(half), metadata: { a: 'a' } });
    await writingNothing(namespace, async () => {
      await invalidInputOf(() => store.append(papers, { ...written(half), metadata: { a: half } }));
      await invalidInputOf(() => store.append(papers, written(half), { metadata: { a: half } }));
      await invalidInputOf(() => store.append(papers, { ...written('a'.repeat(eventBytes - overhead)), id: 'a' }));
    });
  });

  it('fits 16 times into one append, not 17 times, in any characters', async () => {
    expect(appendLimits.bytesOfAnAppend).toBe(16 * eventBytes);
    const full = written('a'.repeat(eventBytes - overhead));
    expect(
      await store.append(
        'papers:full',
        Array.from({ length: 16 }, () => full),
      ),
    ).toMatchObject({ streamVersion: 16 });
    // Each of a third of the characters that would be too many.
    const wide = Array.from({ length: 49 }, () => written('€'.repeat(Math.floor((eventBytes - overhead) / 9))));
    await writingNothing(namespace, async () => {
      const { message } = await invalidInputOf(() => store.append(papers, [...Array.from({ length: 16 }, () => full), written('a')]));
      expect(message).toMatch(/expected at most 16777216 bytes at once; make several appends of it, found 16777\d+\./);
      await invalidInputOf(() => store.append(papers, wide));
    });
  });
});

describe('a conflict', () => {
  it('says what was expected and found, on which stream, and what to do', async () => {
    await writingNothing(namespace, async () => {
      const { message } = await refusalOf(() => store.append(notes.stream('1'), note(2), { expectedVersion: 'no-stream' }));
      expect(message).toBe(
        'Conflict on stream "notes:1": expected version no-stream, found 1. Nothing was written. Decide again from the events in missedEvents, or use execute, which does so.',
      );
      const guards: readonly Guard[] = [{ stream: notes.stream('2'), expectedVersion: 'stream-exists' }];
      expect((await refusalOf(() => store.append(notes.stream('1'), note(2), { guards }))).message).toMatch(
        /^Conflict on guarded stream "notes:2": expected version stream-exists, found 0\./,
      );
    });
  });
});
