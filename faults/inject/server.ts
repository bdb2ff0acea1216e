// Faults of one server: stopped for a while, ended in good order, killed; each time it comes back with what it has written.
import { setTimeout as delay } from 'node:timers/promises';
import type { TestEngine } from '../../test/support/engine.ts';
import type { Fault } from '../schedule.ts';

export function serverFaults(engine: () => TestEngine): readonly Fault[] {
  return [
    {
      kind: 'pause the server',
      lane: 'server',
      lastsMs: [300, 4_000],
      async inject(_, lastsMs) {
        const paused = engine();
        paused.pause();
        await delay(lastsMs);
        paused.resume();
      },
    },
    {
      kind: 'restart the server',
      lane: 'server',
      lastsMs: [0, 1_500],
      async inject(_, lastsMs) {
        await engine().shutDown();
        await delay(lastsMs);
        await engine().restart();
      },
    },
    {
      kind: 'kill the server',
      lane: 'server',
      lastsMs: [0, 1_500],
      async inject(_, lastsMs) {
        await engine().kill();
        await delay(lastsMs);
        await engine().restart();
      },
    },
  ];
}
