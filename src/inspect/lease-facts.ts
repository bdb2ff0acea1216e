// Who holds a lease by the server's clock.
import type { Connection } from '../redis/connection.ts';
import type { ProcessorPartitionFacts } from './facts.ts';

/** A lease as people see it, and what stands beside it in the checkpoint. */
export type LeaseFacts = Pick<ProcessorPartitionFacts, 'owner' | 'leasedUntil' | 'eventsWaiting'> & { readonly isBuilt: boolean };

/** One that has run out by the server's clock is nobody's. */
export async function readLease({ port }: Connection, checkpointKey: string): Promise<LeaseFacts> {
  const [stored, time] = await Promise.all([
    port.send(checkpointKey, ['HMGET', checkpointKey, 'owner', 'deadline', 'parked', 'built']),
    port.send(checkpointKey, ['TIME']),
  ]);
  const [owner, deadline, parked, built] = stored as readonly (string | null)[];
  const nowMs = Number((time as readonly string[])[0]) * 1_000;
  const isHeld = owner !== null && owner !== undefined && owner !== '' && Number(deadline ?? 0) > nowMs;
  return {
    owner: isHeld ? owner : undefined,
    leasedUntil: isHeld ? new Date(Number(deadline)) : undefined,
    eventsWaiting: Number(parked ?? 0),
    isBuilt: (built ?? null) !== null,
  };
}
