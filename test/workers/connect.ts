// Opens the store of a worker: on the server that it is told, or, where that is the one that all tests share, on the set-up that stands for it.
import { EventStore } from 'millrace';

export interface WorkerStore {
  readonly url: string;
  readonly namespace: string;
  readonly library: 'node-redis' | 'ioredis';
  readonly writerTtlMs?: number;
}

type SetUp =
  | { readonly kind: 'server' }
  | { readonly kind: 'cluster'; readonly nodes: readonly string[] }
  | { readonly kind: 'sentinel'; readonly sentinels: readonly string[]; readonly name: string };

export function openWorkerStore({ url, ...options }: WorkerStore): Promise<EventStore> {
  const isShared = url === process.env['MILLRACE_TEST_URL'];
  const setUp = JSON.parse((isShared && process.env['MILLRACE_TEST_SETUP']) || '{"kind":"server"}') as SetUp;
  if (setUp.kind === 'server') return EventStore.connect(url, options);
  return EventStore.connect({ ...setUp, ...options });
}
