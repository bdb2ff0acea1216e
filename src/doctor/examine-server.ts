// Examines the servers of a store: version, persistence, memory, replicas, limits of clients.
import { readServers } from '../inspect/server-facts.ts';
import type { ServerFacts } from '../inspect/facts.ts';
import type { RedisPort } from '../redis/port.ts';
import { PortError } from '../redis/port.ts';
import type { Connection } from '../redis/connection.ts';
import type { DoctorFinding } from './finding.ts';

/** Settings by name, of one server; undefined where it does not let them be seen. */
type Settings = ReadonlyMap<string, string> | undefined;

/** What was seen of a server, twice. */
interface Seen {
  readonly before: ServerFacts;
  readonly now: ServerFacts;
  readonly passedMs: number;
  readonly settings: Settings;
  /** Undefined where it is the only one. */
  readonly name: string | undefined;
}

const ASKED = [
  'appendonly',
  'appendfsync',
  'save',
  'maxmemory',
  'maxmemory-policy',
  'min-replicas-to-write',
  'client-output-buffer-limit',
  'timeout',
  'databases',
];
const MIB = 1_048_576;

export async function examineServers(connection: Connection, before: readonly ServerFacts[], passedMs: number): Promise<readonly DoctorFinding[]> {
  const { port } = connection;
  const [now, settings] = await Promise.all([readServers(connection), readSettings(port)]);
  return now.flatMap((server, index) => {
    const earlier = before.find(({ runId }) => runId === server.runId) ?? server;
    const name = now.length > 1 ? `${server.engine} on port ${server.port ?? '?'}` : undefined;
    return CHECKS.flatMap((check) => named(check({ before: earlier, now: server, passedMs, settings: settings[index], name }) ?? [], name));
  });
}

function named(findings: DoctorFinding | readonly DoctorFinding[], name: string | undefined): readonly DoctorFinding[] {
  const list = Array.isArray(findings) ? (findings as readonly DoctorFinding[]) : [findings as DoctorFinding];
  return name === undefined ? list : list.map((each) => ({ ...each, title: `${each.title} (${name})` }));
}

/** Managed services forbid CONFIG: then it is not known, and nothing fails. */
async function readSettings(port: RedisPort): Promise<readonly Settings[]> {
  try {
    const replies = await port.sendEach(['CONFIG', 'GET', ...ASKED]);
    return replies.map((reply) => {
      const flat = reply as readonly string[];
      return new Map(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? ''] as const] : [])));
    });
  } catch (error) {
    if (error instanceof PortError && error.kind === 'refused') return [];
    throw error;
  }
}

type Check = (seen: Seen) => DoctorFinding | readonly DoctorFinding[] | undefined;

const CHECKS: readonly Check[] = [version, settingsSeen, persistence, fsync, policy, memory, replicas, troubles, buffers, idleClients];

function fine(id: string, title: string, found: string): DoctorFinding {
  return { id, severity: 'fine', title, found, why: '', mend: undefined };
}

function version({ now }: Seen): DoctorFinding {
  const [major = 0, minor = 0] = now.version.split('.').map(Number);
  const isOld = now.engine === 'valkey' ? major < 7 || (major === 7 && minor < 2) : major < 7;
  const found = `${now.engine === 'valkey' ? 'Valkey' : 'Redis'} ${now.version}`;
  if (!isOld) return fine('server-version', 'Version', found);
  return {
    id: 'server-version',
    severity: 'problem',
    title: 'Version',
    found,
    why: 'Scripts need what Redis 7.0 and Valkey 7.2 brought.',
    mend: 'Update the server to Redis 7.0 or newer, or Valkey 7.2 or newer.',
  };
}

function settingsSeen({ settings }: Seen): DoctorFinding | undefined {
  if (settings) return undefined;
  return {
    id: 'server-settings',
    severity: 'unknown',
    title: 'Settings',
    found: 'CONFIG GET is refused',
    why: 'Whether a crash loses events depends on appendonly and appendfsync, which could not be seen.',
    mend: "Look at the settings in your provider's console, or let the ACL user run CONFIG GET (+config|get).",
  };
}

function persistence({ now, settings }: Seen): DoctorFinding {
  if (now.isAppendOnly) return fine('server-appendonly', 'Append-only file', 'on');
  const saves = settings?.get('save') ?? '';
  return {
    id: 'server-appendonly',
    severity: 'problem',
    title: 'Append-only file',
    found: saves === '' ? 'off, and no snapshot files either' : `off; snapshot files only (save ${saves})`,
    why:
      saves === ''
        ? 'When the server ends, every event is lost.'
        : 'When the server dies, every event since the last snapshot file is lost: up to an hour.',
    mend: 'CONFIG SET appendonly yes, then CONFIG REWRITE (or appendonly yes in redis.conf)',
  };
}

function fsync({ now, settings }: Seen): DoctorFinding | undefined {
  if (!now.isAppendOnly || !settings) return undefined;
  const mode = settings.get('appendfsync') ?? '';
  if (mode === 'always') return fine('server-appendfsync', 'appendfsync', 'always: nothing acknowledged is lost when the power goes');
  if (mode === 'everysec')
    return {
      id: 'server-appendfsync',
      severity: 'note',
      title: 'appendfsync',
      found: 'everysec',
      why: 'When the machine loses power, the last second or two are lost. When only the server dies, nothing is.',
      mend: "If no acknowledged event may be lost: CONFIG SET appendfsync always, or durability: 'fsync' for what matters",
    };
  return {
    id: 'server-appendfsync',
    severity: 'warning',
    title: 'appendfsync',
    found: mode,
    why: 'The file is written when the system likes: when the machine loses power, half a minute and more is lost.',
    mend: 'CONFIG SET appendfsync everysec, then CONFIG REWRITE',
  };
}

function policy({ now }: Seen): DoctorFinding | undefined {
  if (now.maxmemoryPolicy === undefined) return undefined;
  if (now.maxmemoryPolicy === 'noeviction') return fine('server-eviction', 'maxmemory-policy', 'noeviction');
  return {
    id: 'server-eviction',
    severity: 'problem',
    title: 'maxmemory-policy',
    found: now.maxmemoryPolicy,
    why: 'When memory is full, the server deletes events.',
    mend: 'CONFIG SET maxmemory-policy noeviction, then CONFIG REWRITE',
  };
}

const HOURS_24_MS = 86_400_000;
/** Less comes and goes by itself. */
const GROWN_BYTES_MIN = MIB;

function memory({ before, now, passedMs }: Seen): DoctorFinding {
  const { memoryUsedBytes: used, memoryLimitBytes: limit, memoryOfMachineBytes: machine } = now;
  const most = limit ?? machine;
  const grown = used - before.memoryUsedBytes;
  const bytesPerMs = grown >= GROWN_BYTES_MIN && passedMs > 0 ? grown / passedMs : 0;
  const leftMs = most !== undefined && bytesPerMs > 0 ? (most - used) / bytesPerMs : Number.POSITIVE_INFINITY;
  const of = limit === undefined ? (most === undefined ? '' : ` of ${mib(most)}, which is all of the machine's`) : ` of ${mib(limit)}`;
  const trend = leftMs < HOURS_24_MS * 30 ? `; at the rate of the last seconds, roughly, it is full in ${hours(leftMs)}` : '';
  const found = `${mib(used)}${of}${trend}`;
  const why = 'When it is full, appends are refused until there is more.';
  const mend =
    limit === undefined
      ? `CONFIG SET maxmemory to less than the machine has, and watch it`
      : `CONFIG SET maxmemory ${2 * limit} (if the machine has as much), or move to a larger one: millrace export, millrace import`;
  const share = most === undefined ? 0 : used / most;
  if (share > 0.9 || leftMs < HOURS_24_MS)
    return { id: 'server-memory', severity: share > 0.95 ? 'problem' : 'warning', title: 'Memory', found, why, mend };
  if (limit === undefined)
    return {
      id: 'server-memory',
      severity: 'note',
      title: 'Memory',
      found: `${found}; no maxmemory`,
      why: 'Without a limit the server grows until the system ends it, which loses what is not on disk. With one, appends are refused and nothing is lost.',
      mend,
    };
  return fine('server-memory', 'Memory', found);
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}

function hours(ms: number): string {
  return ms < HOURS_24_MS * 2 ? `${Math.max(0.1, ms / 3_600_000).toFixed(1)} hours` : `${(ms / HOURS_24_MS).toFixed(0)} days`;
}

function replicas({ now, settings }: Seen): DoctorFinding {
  if (now.replicas === 0)
    return {
      id: 'server-replicas',
      severity: 'note',
      title: 'Replicas',
      found: 'none',
      why: 'When this machine is gone, so is the store, but for backups.',
      mend: 'A replica (replicaof), or millrace export at intervals',
    };
  const least = Number(settings?.get('min-replicas-to-write') ?? 0);
  const found = `${now.replicas}; min-replicas-to-write ${settings ? least : 'unknown'}`;
  if (least > 0) return fine('server-replicas', 'Replicas', found);
  return {
    id: 'server-replicas',
    severity: 'note',
    title: 'Replicas',
    found,
    why: 'A primary that is cut off goes on taking appends, which are lost when a replica has taken over.',
    mend: 'CONFIG SET min-replicas-to-write 1, or durability: { replicas: 1, timeoutMs } for what matters',
  };
}

function troubles({ now }: Seen): readonly DoctorFinding[] {
  return now.troubles.map((trouble) => ({
    id: 'server-trouble',
    severity: 'problem',
    title: 'State',
    found: trouble,
    why: 'The server says so itself: events may not be on disk, or appends are refused.',
    mend: "Look at the server's log, and at the space on its disk (df)",
  }));
}

/** Pages of large events, and many channels, need room on their way out. */
function buffers({ settings }: Seen): DoctorFinding | undefined {
  const limits = settings?.get('client-output-buffer-limit');
  if (limits === undefined) return undefined;
  const words = limits.split(' ');
  const normal = limitAt(words, 'normal');
  if (normal === 0 || normal >= 256 * MIB)
    return fine('server-buffers', 'Output buffers', normal === 0 ? 'no limit for clients' : `${mib(normal)} for clients`);
  return {
    id: 'server-buffers',
    severity: 'warning',
    title: 'Output buffers',
    found: `${mib(normal)} for clients`,
    why: 'A page of large events may take more: then the server cuts the connection, again and again.',
    mend: "CONFIG SET client-output-buffer-limit 'normal 0 0 0'",
  };
}

function limitAt(words: readonly string[], kind: string): number {
  const at = words.indexOf(kind);
  return at < 0 ? 0 : Number(words[at + 1] ?? 0);
}

function idleClients({ settings }: Seen): DoctorFinding | undefined {
  const seconds = Number(settings?.get('timeout') ?? 0);
  if (seconds === 0 || seconds >= 60) return undefined;
  return {
    id: 'server-timeout',
    severity: 'note',
    title: 'timeout',
    found: `clients that are idle for ${seconds} s are cut off`,
    why: 'Subscriptions and channels connect again and again.',
    mend: 'CONFIG SET timeout 0',
  };
}
