// Faults of processes: killed in the middle of what they do, or stopped for longer than their leases.
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from '../pool.ts';
import type { Fault } from '../schedule.ts';
import type { Role } from '../workload/settings.ts';

/** Kills and pauses of each role that the pool has. */
export function processFaults(pool: Pool, leaseMs: number, roles: readonly Role[]): readonly Fault[] {
  return roles.flatMap((role) => [killing(pool, role), pausing(pool, role, leaseMs)]);
}

function killing(pool: Pool, role: Role): Fault {
  return {
    kind: `kill a ${role}`,
    lane: 'processes',
    lastsMs: [50, 1_500],
    async inject(random, lastsMs) {
      const seat = pool.pick(role, random);
      if (!seat) return;
      await pool.kill(seat);
      await delay(lastsMs);
      pool.startAgain(seat);
    },
  };
}

function pausing(pool: Pool, role: Role, leaseMs: number): Fault {
  return {
    kind: `pause a ${role} past its lease`,
    lane: 'processes',
    lastsMs: [leaseMs, leaseMs * 4],
    async inject(random, lastsMs) {
      const seat = pool.pick(role, random);
      if (!seat) return;
      pool.pause(seat);
      await delay(lastsMs);
      pool.resume(seat);
    },
  };
}
