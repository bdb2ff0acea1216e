// Copies a store into another one, by the same means as the command line.
// #region copy
import { Readable } from 'node:stream';
import type { EventStore } from 'millrace';
import { exportEvents, type Imported, importEvents, readEvents } from 'millrace/transfer';
import { verify } from 'millrace/verify';

export async function copy(from: EventStore, to: EventStore): Promise<Imported> {
  const lines = Readable.from(exportEvents(from));
  const imported = await importEvents(to, readEvents(lines)); // again, where it was broken off: what is there is passed over
  const { findings } = await verify(to, { all: true });
  if (findings.length > 0) throw new Error(`The copy is not whole: ${JSON.stringify(findings)}`);
  return imported;
}
// #endregion copy
