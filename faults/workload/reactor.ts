// A process that runs the reactors, and writes down when a handler begins with an event and when it ends with it.
import type { Work } from './main.ts';
import { aborted } from './stop.ts';

export async function react({ stop }: Work): Promise<void> {
  await aborted(stop);
}
