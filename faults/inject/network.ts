// Faults of the network, made by the proxy that the processes connect through.
import { setTimeout as delay } from 'node:timers/promises';
import type { Proxy } from '../../test/support/proxy.ts';
import type { Fault } from '../schedule.ts';

/** So many bytes go into one packet while packets are small. */
const SMALL_PACKET_BYTES = 200;

export function networkFaults(proxy: Proxy): readonly Fault[] {
  const fault = (kind: string, lastsMs: Fault['lastsMs'], inject: Fault['inject']): Fault => ({ kind, lane: 'network', lastsMs, inject });
  return [
    fault('lose replies', [200, 1_500], async (random, lastsMs) => {
      for (let losses = 1 + random.below(4); losses > 0; losses -= 1) {
        // A connection that ends before its reply came is a fault too, of another kind.
        const lost = proxy.loseReplyOf(isScript, { count: 1 + random.below(2) }).catch(() => []);
        await Promise.race([lost, delay(lastsMs)]);
      }
    }),
    fault('lose commands', [200, 1_500], async (_, lastsMs) => {
      await Promise.race([proxy.loseCommand(isScript).catch(() => []), delay(lastsMs)]);
    }),
    fault('cut connections', [0, 500], async (_, lastsMs) => {
      proxy.cut();
      await delay(lastsMs);
    }),
    fault('cut connections, refuse new ones', [200, 2_500], async (_, lastsMs) => {
      proxy.refuse();
      proxy.cut();
      await delay(lastsMs);
      await proxy.accept();
    }),
    fault('hold replies (half-open)', [500, 4_000], async (random, lastsMs) => {
      proxy.freeze('replies');
      await delay(lastsMs);
      // Cut first, half of the time: then what was held never comes.
      if (random.next() < 0.5) proxy.cut();
      proxy.thaw();
    }),
    fault('hold everything (half-open)', [500, 4_000], async (random, lastsMs) => {
      proxy.freeze();
      await delay(lastsMs);
      if (random.next() < 0.5) proxy.cut();
      proxy.thaw();
    }),
    fault('small and late packets', [500, 2_000], async (_, lastsMs) => {
      proxy.shape({ chunkBytes: SMALL_PACKET_BYTES, delayMs: 1 });
      await delay(lastsMs);
      proxy.shape({});
    }),
  ];
}

/** Everything that writes is a script. */
function isScript([name = '']: readonly string[]): boolean {
  return name.toUpperCase() === 'EVALSHA';
}
