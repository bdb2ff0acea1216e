// What each role has to be allowed: the commands that it sends, those of its scripts, the keys, and the channels.

/**
 * - `reader`: reads, subscribes, gets documents.
 * - `writer`: appends, executes commands, schedules; reads what it needs for that.
 * - `processor`: runs projections, reactors, process managers, sources and schedules; appends too.
 * - `operator`: looks at everything and looks after what runs: the command line but for append and import, the page, ProcessorControl.
 */
export type Role = 'reader' | 'writer' | 'processor' | 'operator';

export const ROLES: readonly Role[] = ['reader', 'writer', 'processor', 'operator'];

/** Of each connection, whichever client makes it. */
const CONNECTION = words('hello auth ping select quit info client|setinfo client|setname client|id eval evalsha script|load');

/** Of a connection to the nodes of a cluster, and to servers that sentinels name. */
const ROUTING = words('cluster|slots asking role');

const READ = words(
  'get hget hmget hgetall hexists hlen hscan exists smembers llen lindex lrange zcard zscore zrange zcount xlen xread xrange xrevrange time subscribe unsubscribe',
);

/** Walks over the keyspace, which tell the names of all keys of the database: keys() of a SnapshotStore, rebuilds, and tools. */
const WALK = words('scan');

const APPEND = words('set del hset hdel pexpire rpush rpop lset ltrim sadd xadd xdel xinfo|stream zadd zrem wait waitaof');

const PROCESS = words(
  'hincrby hsetnx lpop unlink zrangebyscore zremrangebyscore publish xreadgroup xack xclaim xpending xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy xinfo|groups xinfo|consumers',
);

const OPERATE = words(
  'del hset hdel hincrby hsetnx rpop unlink zadd zrem zrangebyscore publish xpending xgroup|create xgroup|destroy xinfo|groups xinfo|consumers xinfo|stream memory|usage config|get hvals',
);

export const commandsOf: Readonly<Record<Role, readonly string[]>> = {
  reader: unique([...CONNECTION, ...ROUTING, ...READ, ...WALK]),
  writer: unique([...CONNECTION, ...ROUTING, ...READ, ...APPEND]),
  processor: unique([...CONNECTION, ...ROUTING, ...READ, ...WALK, ...APPEND, ...PROCESS]),
  operator: unique([...CONNECTION, ...ROUTING, ...READ, ...WALK, ...OPERATE]),
};

/** What stands behind the partition's tag, in keys that an append touches. */
const LOG = words('log:* stream:* head categories schedule scheduled result:* writer:*');

/**
 * What a role may write to; what it may only read, it may read all of. A script's keys count as written to, whatever it does with them: so a
 * reader has some here too, and what keeps it from writing is that it has no command that does.
 */
export const kindsOf: Readonly<Record<Role, readonly string[] | 'all'>> = {
  reader: words('log:* stream:* head schedule scheduled snapshot:*'),
  // A decider's stored state is a snapshot, beside those of projections.
  writer: [...LOG, 'snapshot:*'],
  processor: 'all',
  operator: 'all',
};

/** Whether a role writes the store's settings and what stands outside all partitions: a writer makes a store where there is none. */
export const writesSettings: Readonly<Record<Role, boolean>> = { reader: false, writer: true, processor: true, operator: true };

function words(text: string): readonly string[] {
  return text.split(' ');
}

function unique(commands: readonly string[]): readonly string[] {
  return [...new Set(commands)].sort();
}
