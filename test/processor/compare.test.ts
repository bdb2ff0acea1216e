// What comparing two versions finds: documents that differ, and whether one of the two may merely be behind.
import { setTimeout as delay } from 'node:timers/promises';
import { type DocumentDifference, ProcessorControl, projection, type Projection } from 'millrace';
import { describe, expect, test } from 'vitest';
import { connectRaw, uniqueNamespace } from '../support/clients.ts';
import { appendNumbers, project, run, type Sum, sums, until } from '../support/processors.ts';
import { isEmbedded } from '../support/size.ts';
import { errorOf, marks, note, notes, openStore } from '../support/store.ts';

/** It walks the keys of all tests that share an engine: on the slow one for fewer documents, and less often. */
const DOCUMENTS = isEmbedded ? 200 : 1_200;
const ROUNDS = isEmbedded ? 1 : 4;

/** Like `sums`, but for what it does with some numbers: deletes the document, leaves the event out, or makes a document of its own. */
function nextSums({ deletesAt = -1, leavesOut = -1 }: { readonly deletesAt?: number; readonly leavesOut?: number } = {}): Projection<Sum> {
  return projection({
    name: 'sums',
    version: 2,
    categories: [notes, marks],
    initialState: (): Sum => ({ count: 0, sum: 0 }),
    evolve: ({ count, sum }, { data: { n } }) => (n === deletesAt ? null : n === leavesOut ? { count, sum } : { count: count + 1, sum: sum + n }),
  });
}

async function differences<First, Second>(iterable: AsyncIterable<DocumentDifference<First, Second>>): Promise<DocumentDifference<First, Second>[]> {
  const found: DocumentDifference<First, Second>[] = [];
  for await (const each of iterable) found.push(each);
  return found.sort((a, b) => Number(a.key) - Number(b.key));
}

describe('comparing two versions', () => {
  test.each([1, 3])('finds none where they agree, over %i partitions', async (partitions) => {
    await using store = await openStore({ partitions });
    await Promise.all(Array.from({ length: DOCUMENTS }, (_, n) => store.append(notes.stream(String(n)), note(n))));
    await project(store, sums(), nextSums());
    expect(await differences(new ProcessorControl(store).compare(sums(), nextSums()))).toEqual([]);
  });

  test('tells each document that differs, or is in one only, with both states and where they stand', async () => {
    await using store = await openStore({ partitions: 2 });
    for (const n of [1, 2, 3, 4]) await store.append(notes.stream(String(n)), note(n));
    await store.append(marks.stream('5'), note(5));
    await project(store, sums(), nextSums({ deletesAt: 2, leavesOut: 3 }));
    const found = await differences(new ProcessorControl(store).compare(sums(), nextSums()));
    expect(found.map(({ key, kind, mayBeBehind }) => [key, kind, mayBeBehind])).toEqual([
      ['2', 'only-first', false],
      ['3', 'differs', false],
      ['5', 'only-second', false],
    ]);
    const [second, third] = found;
    expect(second).toMatchObject({ first: { state: { count: 1, sum: 2 } }, second: { state: undefined, positions: [] } });
    expect(third).toMatchObject({ first: { state: { count: 1, sum: 3 } }, second: { state: { count: 0, sum: 0 } } });
    expect(third?.first.positions).toEqual(third?.second.positions);
    expect(third?.first.positions.length).toBe(1);
  });

  test('says of a difference that one may be behind, until both have passed what the other holds', async () => {
    await using store = await openStore();
    await appendNumbers(store, '1', [1]);
    await appendNumbers(store, '2', [2]);
    await project(store, sums(), nextSums({ leavesOut: 2 }));
    await appendNumbers(store, '1', [3]);
    await appendNumbers(store, '3', [4]);
    await project(store, sums());
    const control = new ProcessorControl(store);
    const behind = await differences(control.compare(sums(), nextSums()));
    expect(behind.map(({ key, kind, mayBeBehind }) => [key, kind, mayBeBehind])).toEqual([
      ['1', 'differs', true],
      ['2', 'differs', false],
      ['3', 'only-first', true],
    ]);
    expect(behind[0]?.first.positions).not.toEqual(behind[0]?.second.positions);
    await project(store, nextSums({ leavesOut: 2 }));
    expect((await differences(control.compare(sums(), nextSums()))).map(({ key }) => key)).toEqual(['2']);
  });

  test('says so too of a document that one may have deleted since', async () => {
    await using store = await openStore();
    await appendNumbers(store, '1', [1]);
    await project(store, sums());
    await appendNumbers(store, '1', [2]);
    await project(store, nextSums({ deletesAt: 2 }));
    expect(await differences(new ProcessorControl(store).compare(sums(), nextSums()))).toMatchObject([{ kind: 'only-first', mayBeBehind: true }]);
  });

  test('finds nothing certain that is none while both go on folding', { timeout: 60_000 }, async () => {
    const byDigit = (version: number): Projection<Sum> => ({
      ...sums('digits', version),
      isKeyedByStream: false,
      keys: ({ data }) => [String((data as { n: number }).n % 5)],
    });
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 2 });
    await using other = await openStore({ namespace });
    await using _one = run(store, { projections: [sums(), byDigit(1)], leaseMs: 300 });
    await using _two = run(other, { projections: [nextSums(), byDigit(2)], leaseMs: 300 });
    const stopping = new AbortController();
    let appended = 0;
    const feeding = (async () => {
      for (; !stopping.signal.aborted; await delay(10))
        await Promise.all(Array.from({ length: 20 }, () => store.append(notes.stream(String(appended % 40)), note(appended++))));
    })();
    const control = new ProcessorControl(store);
    await until(
      'both fold',
      async () => (await control.progress(byDigit(2))).eventsFolded > 100 && (await control.progress(nextSums())).eventsFolded > 100,
    );
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const found of [await differences(control.compare(sums(), nextSums())), await differences(control.compare(byDigit(1), byDigit(2)))])
        expect(found.filter(({ mayBeBehind }) => !mayBeBehind)).toEqual([]);
    }
    stopping.abort();
    await feeding;
    await project(store, sums(), nextSums(), byDigit(1), byDigit(2));
    expect(await differences(control.compare(byDigit(1), byDigit(2)))).toEqual([]);
  });

  test('takes another notion of equal, a limit and a signal', async () => {
    await using store = await openStore();
    for (let n = 0; n < 30; n += 1) await store.append(notes.stream(String(n)), note(n));
    const total = projection({
      name: 'total',
      categories: [notes],
      initialState: () => 0,
      evolve: (sum, event) => sum + event.data.n,
    });
    await project(store, sums(), total);
    const control = new ProcessorControl(store);
    expect((await differences(control.compare(sums(), total))).length).toBe(30);
    expect(await differences(control.compare(sums(), total, { equal: ({ sum }, number) => sum === number }))).toEqual([]);
    expect((await differences(control.compare(sums(), total, { limit: 3 }))).length).toBe(3);
    const reason = new Error('enough');
    expect(await errorOf(control.compare(sums(), total, { signal: AbortSignal.abort(reason) }).next())).toBe(reason);
    expect(await errorOf(control.compare(sums(), total, { limit: 0 }).next())).toMatchObject({ code: 'invalid-input' });
  });

  test('says which document cannot be read', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: 1 });
    await using raw = await connectRaw();
    await appendNumbers(store, '1', [1]);
    await project(store, sums(), nextSums());
    await raw.send('HSET', `{${namespace}:0}:snapshot:sums@2:1`, 'count', '{');
    expect(await errorOf(differences(new ProcessorControl(store).compare(sums(), nextSums())))).toMatchObject({ code: 'corrupt-document' });
  });
});
