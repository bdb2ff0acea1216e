// What EventReader does with pages, whatever brings them: merges partitions, keeps its cursor exact, and asks for no page twice.
import { describe, expect, test } from 'vitest';
import type { RecordedEvent } from '../../src/event.ts';
import type { LogEvent } from '../../src/log/entry.ts';
import type { Page } from '../../src/log/page.ts';
import type { Pager } from '../../src/log/pager.ts';
import { EventReader, type ReaderOptions } from '../../src/log/reader.ts';
import { positionOf } from '../../src/position.ts';
import { placesOfCursor } from '../../src/token.ts';
import { errorOf } from '../support/store.ts';

function logEvent(partition: number, place: number): LogEvent {
  const event: RecordedEvent = {
    type: 'T',
    data: place,
    metadata: {},
    id: String(place),
    streamName: 's:1',
    streamVersion: 1,
    position: positionOf(partition, place),
    recordedAt: new Date(place),
  };
  return { place, category: 's', event };
}

/** Pages that are given one by one; `asked` counts how many were asked for. */
class Pages implements Pager {
  readonly partition: number;
  readonly #pages: readonly (readonly number[] | Error)[];
  asked = 0;
  stopped = 0;

  constructor(partition: number, pages: readonly (readonly number[] | Error)[]) {
    this.partition = partition;
    this.#pages = pages;
  }

  async next(): Promise<Page | undefined> {
    const page = this.#pages[this.asked];
    this.asked += 1;
    await Promise.resolve();
    if (page instanceof Error) throw page;
    return page && { events: page.map((place) => logEvent(this.partition, place)), through: page.at(-1) ?? 0, isEnd: false, size: 0 };
  }

  stop(): void {
    this.stopped += 1;
  }
}

function reader(pagers: readonly Pager[], options: Partial<ReaderOptions> = {}): EventReader<RecordedEvent> {
  const from = new Map(pagers.map(({ partition }) => [partition, -1]));
  return new EventReader(pagers, { doing: 'test', from, direction: 'forward', isEndless: false, closed: new AbortController().signal, ...options });
}

async function places(events: AsyncIterable<{ readonly data: unknown }>): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const { data } of events) found.push(data);
  return found;
}

describe('a reader of several partitions', () => {
  test('merges them by position, both ways, over empty pages too', async () => {
    const forward = [new Pages(0, [[1, 5], [], [9]]), new Pages(1, [[], [2, 3, 4], [10, 11]]), new Pages(2, [])];
    expect(await places(reader(forward))).toEqual([1, 2, 3, 4, 5, 9, 10, 11]);
    const backward = [new Pages(0, [[9, 5], [1]]), new Pages(1, [[11], [10, 4, 3], [2]])];
    expect(await places(reader(backward, { direction: 'backward' }))).toEqual([11, 10, 9, 5, 4, 3, 2, 1]);
  });

  test('has a cursor of what it gave, not of what it holds', async () => {
    const events = reader([new Pages(0, [[1, 5, 9]]), new Pages(1, [[2, 3]])]);
    expect([...placesOfCursor(events.cursor)]).toEqual([]);
    for (let i = 0; i < 3; i += 1) await events.next();
    expect([...placesOfCursor(events.cursor)]).toEqual([
      [0, 1],
      [1, 3],
    ]);
  });

  test('counts what its filter passes over as seen, and not against its limit', async () => {
    const events = reader([new Pages(0, [[1, 2, 3, 4, 5, 6]])], { limit: 2, filter: ({ data }) => Number(data) % 2 === 0 });
    expect(await places(events)).toEqual([2, 4]);
    expect([...placesOfCursor(events.cursor)]).toEqual([[0, 4]]);
  });
});

describe('a reader', () => {
  test('gives what came before a page that failed, then the failure, then nothing', async () => {
    const pages = new Pages(0, [[1, 2], new Error('broken')]);
    const events = reader([pages]);
    expect([(await events.next()).value?.data, (await events.next()).value?.data]).toEqual([1, 2]);
    expect((await errorOf(events.next())).message).toBe('broken');
    expect((await events.next()).done).toBe(true);
    expect(pages).toMatchObject({ asked: 2, stopped: 1 });
  });

  test('asks for no page before the one in hand was given out', async () => {
    const pages = new Pages(0, [[1, 2], [3]]);
    const events = reader([pages]);
    await events.next();
    await events.next();
    expect(pages.asked).toBe(1);
    await events.next();
    expect(pages.asked).toBe(2);
  });

  test('stops its pagers once, however it ends', async () => {
    const pages = new Pages(0, [[1], [2]]);
    const events = reader([pages]);
    await events.next();
    await events.return();
    await events.return();
    await events[Symbol.asyncDispose]();
    expect(pages.stopped).toBe(1);
    expect((await events.next()).done).toBe(true);
    expect(pages.asked).toBe(1);
  });

  test('that waits ends when it is told to, or its signal is aborted, or the store closes', async () => {
    const never: Pager = { partition: 0, next: () => new Promise(() => {}), stop: () => {} };
    const returned = reader([never]);
    const waiting = returned.next();
    await Promise.resolve();
    await returned.return();
    expect((await waiting).done).toBe(true);
    for (const name of ['signal', 'closed'] as const) {
      const controller = new AbortController();
      const failing = errorOf(reader([never], { [name]: controller.signal }).next());
      await Promise.resolve();
      const reason = new Error(name);
      controller.abort(reason);
      expect(await failing).toBe(reason);
    }
  });

  test('leaves no listener on a signal that outlives it', async () => {
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>): void => {
      listeners += 1;
      const options = args[2];
      if (typeof options === 'object') options.signal?.addEventListener('abort', () => (listeners -= 1));
      add(...args);
    };
    await places(reader([new Pages(0, [[1], [2]])], { signal }));
    expect(listeners).toBe(0);
  });
});
