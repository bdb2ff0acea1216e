// Documents that lie on another server than their events may hold some that a failover lost: that is told, and nothing is folded onto them.
import { createClient } from '@redis/client';
import { EventStore, LogLostError, type Projection, projection, SnapshotStore } from 'millrace';
import { describe, expect, test } from 'vitest';
import { Keys } from '../../src/redis/keys.ts';
import { connectRaw, type RawClient, testUrl, uniqueNamespace } from '../support/clients.ts';
import { project, run, type Sum, until } from '../support/processors.ts';
import { errorOf, note, notes, openStore } from '../support/store.ts';

const PARTITIONS = 2;
const STREAM = '1';

const byDigit: Projection<Sum> = projection({
  name: 'by-digit',
  categories: [notes],
  key: ({ data: { n } }) => String(n % 10),
  initialState: (): Sum => ({ count: 0, sum: 0 }),
  evolve: ({ count, sum }, { data: { n } }) => ({ count: count + 1, sum: sum + n }),
});

function keysIn(namespace: string): { readonly log: string; readonly index: string; readonly checkpoint: string } {
  const keys = new Keys(namespace, PARTITIONS);
  const partition = keys.partitionOf(STREAM);
  return {
    log: keys.log(partition, 'notes'),
    index: keys.stream(partition, `notes:${STREAM}`),
    checkpoint: keys.checkpoint(partition, 'by-digit', 1),
  };
}

/** As a failover does whose replica lacks the last event. */
async function loseLast(raw: RawClient, { log, index }: { readonly log: string; readonly index: string }): Promise<void> {
  const [[id]] = (await raw.send('XREVRANGE', log, '+', '-', 'COUNT', '1')) as [[string]];
  await raw.send('XDEL', log, id);
  await raw.send('RPOP', index);
}

describe('a projection whose documents lie elsewhere than their events', () => {
  test('does not go on from a document that holds an event which is gone, though the log goes on behind it', async () => {
    const namespace = uniqueNamespace();
    await using store = await openStore({ namespace, partitions: PARTITIONS });
    await using raw = await connectRaw();
    const keys = keysIn(namespace);
    await store.append(notes.stream(STREAM), note(1));
    await project(store, byDigit);
    const before = (await raw.send('HGETALL', keys.checkpoint)) as string[];
    await store.append(notes.stream(STREAM), note(11));
    await project(store, byDigit);
    await loseLast(raw, keys);
    await raw.send('HSET', keys.checkpoint, ...before);
    await store.append(notes.stream(STREAM), note(21));
    expect(await errorOf(project(store, byDigit))).toBeInstanceOf(LogLostError);
    expect(await new SnapshotStore(store).get(byDigit, '1')).toEqual({ count: 2, sum: 12 });
  });

  test('stores nothing of an event that was read and is gone since', async () => {
    const namespace = uniqueNamespace();
    await using raw = await connectRaw(testUrl());
    const client = createClient({ url: testUrl() });
    await using _client = { [Symbol.asyncDispose]: async () => client.destroy() };
    client.on('error', () => {});
    await client.connect();
    await using store = await EventStore.connect({ client, namespace, partitions: PARTITIONS });
    await store.append(notes.stream(STREAM), note(1));
    let isLost = false;
    const send = client.sendCommand.bind(client);
    // Its documents are read between its events and what comes of them.
    client.sendCommand = async (args, options) => {
      if (!isLost && args[0] === 'HGET' && String(args[1]).includes(':removed:')) {
        isLost = true;
        await loseLast(raw, keysIn(namespace));
      }
      return await send(args, options);
    };
    await using running = run(store, { projections: [byDigit] });
    await until('it is told', () => running.failed.length > 0);
    expect(running.failed[0]?.error).toBeInstanceOf(LogLostError);
    expect(await new SnapshotStore(store).get(byDigit, '1')).toBeUndefined();
  });
});
