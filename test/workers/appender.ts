// A process that appends one event after the other, and tells of each when it was acknowledged: tests kill it.
import { category, type Event, EventStore, type StoreOptions } from 'millrace';

/** What it is told, as JSON in MILLRACE_WORKER. */
export interface AppenderSettings {
  readonly url: string;
  readonly options: StoreOptions;
}

type Noted = Event<'Noted', { readonly n: number }>;

const { url, options } = JSON.parse(process.env['MILLRACE_WORKER'] ?? '{}') as AppenderSettings;
process.on('disconnect', () => process.exit(2)); // nothing may outlive the test
const store = await EventStore.connect(url, options);
const stream = category<Noted>('notes').stream('1');
for (let n = 1; ; n += 1) {
  await store.append(stream, { type: 'Noted', data: { n } });
  process.send?.(n);
}
