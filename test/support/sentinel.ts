// Starts a real Sentinel set-up for tests: a primary, its replicas and three sentinels, any of which can be killed.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EngineProcess, freePort, startProcess } from '../../examples/engine-process.ts';
import { connectRaw, type RawReply } from './clients.ts';
import { until } from './cluster.ts';
import { engineCommand, startEngine, type TestEngine } from './engine.ts';

export interface SentinelOptions {
  /** Default 1. */
  readonly replicas?: number;
  /** Of the servers. Default: none. */
  readonly password?: string;
  /** Of the sentinels. Default: none. */
  readonly sentinelPassword?: string;
  /** More arguments for each server; they come last, and win. */
  readonly args?: readonly string[];
}

export interface TestSentinels extends AsyncDisposable {
  /** The name that the sentinels know the primary by. */
  readonly name: string;
  /** The URLs of the sentinels, without a password. */
  readonly sentinels: readonly string[];
  /** The servers, whichever is the primary now. */
  readonly servers: readonly TestEngine[];
  send(server: TestEngine, ...args: string[]): Promise<RawReply>;
  /** The one that the sentinels name. */
  primary(): Promise<TestEngine>;
  /** SIGKILL; nothing waits for the failover. */
  kill(server: TestEngine): Promise<void>;
  /** Starts a killed server again; resolves when it is a replica that follows, or the primary. */
  restart(server: TestEngine): Promise<void>;
  /** Kills the primary and resolves with the replica that took over, once every sentinel says so. */
  failover(): Promise<TestEngine>;
  /** Ends a sentinel for good, by its number. */
  killSentinel(index: number): Promise<void>;
  stop(): Promise<void>;
}

const NAME = 'mymaster';
const SENTINELS = 3;
const QUORUM = 2;
const DOWN_AFTER_MS = 1_500;
const FAILOVER_TIMEOUT_MS = 6_000;

/** Starts one on free ports of 127.0.0.1. Fails where `whyNoEngine` has an answer. */
export async function startSentinels(options: SentinelOptions = {}): Promise<TestSentinels> {
  const setUp = new OwnSentinels(options);
  try {
    await setUp.start();
    return setUp;
  } catch (error) {
    await setUp.stop();
    throw error;
  }
}

class OwnSentinels implements TestSentinels {
  readonly name: string = NAME;
  readonly servers: TestEngine[] = [];
  readonly #options: SentinelOptions;
  readonly #processes: EngineProcess[] = [];
  readonly #dead = new Set<object>();

  constructor(options: SentinelOptions) {
    this.#options = options;
  }

  get sentinels(): readonly string[] {
    return this.#processes.map(({ url }) => url);
  }

  async start(): Promise<void> {
    const { replicas = 1, password, args = [] } = this.#options;
    const secured = password === undefined ? [] : ['--requirepass', password, '--masterauth', password];
    const own = [...secured, '--repl-diskless-sync-delay', '0', ...args];
    const primary = await startEngine({ args: own });
    this.servers.push(primary);
    for (let index = 0; index < replicas; index += 1) {
      this.servers.push(await startEngine({ args: [...own, '--replicaof', `127.0.0.1 ${primary.port}`] }));
    }
    await this.#untilReplicated();
    for (let index = 0; index < SENTINELS; index += 1) this.#processes.push(await this.#startSentinel(primary));
    await until('the sentinels know each other and the replicas', async () => {
      const told = await Promise.all(this.#processes.map((each) => this.#ask(each, 'SENTINEL', 'MASTER', NAME)));
      return told.every(
        (reply) => factOf(reply, 'num-other-sentinels') === String(SENTINELS - 1) && factOf(reply, 'num-slaves') === String(replicas),
      );
    });
  }

  async #startSentinel({ port }: TestEngine): Promise<EngineProcess> {
    const { password, sentinelPassword } = this.#options;
    const folder = mkdtempSync(join(tmpdir(), 'millrace-test-sentinel-'));
    const config = join(folder, 'sentinel.conf');
    const lines = [
      `sentinel monitor ${NAME} 127.0.0.1 ${port} ${QUORUM}`,
      `sentinel down-after-milliseconds ${NAME} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${NAME} ${FAILOVER_TIMEOUT_MS}`,
      ...(password === undefined ? [] : [`sentinel auth-pass ${NAME} ${password}`]),
      ...(sentinelPassword === undefined ? [] : [`requirepass ${sentinelPassword}`, `sentinel sentinel-pass ${sentinelPassword}`]),
    ];
    writeFileSync(config, `${lines.join('\n')}\n`);
    // The file comes first among the arguments of the server, and makes it a sentinel by the switch behind it.
    const command = sentinelCommand(config);
    return await startProcess({ command, folder, port: await freePort(), args: ['--sentinel'] });
  }

  async send(server: TestEngine, ...args: string[]): Promise<RawReply> {
    const { password } = this.#options;
    const login = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
    await using client = await connectRaw(`redis://${login}127.0.0.1:${server.port}`);
    return await client.send(...args);
  }

  async primary(): Promise<TestEngine> {
    const port = await this.#portToldBy(this.#alive()[0]);
    const server = this.servers.find((each) => each.port === port);
    if (!server) throw new Error(`the sentinels name an unknown primary, at port ${port}`);
    return server;
  }

  async kill(server: TestEngine): Promise<void> {
    this.#dead.add(server);
    await server.kill();
  }

  async restart(server: TestEngine): Promise<void> {
    await server.restart();
    this.#dead.delete(server);
    await this.#untilReplicated();
  }

  async failover(): Promise<TestEngine> {
    const before = await this.primary();
    await this.kill(before);
    await until('the sentinels name another primary', async () => {
      const ports = await Promise.all(this.#alive().map((each) => this.#portToldBy(each)));
      const isOther = ports.every((port) => port !== before.port && port === ports[0]);
      return isOther && /^role:master/m.test(String(await this.send(await this.primary(), 'INFO', 'replication')));
    });
    return await this.primary();
  }

  async killSentinel(index: number): Promise<void> {
    const sentinel = this.#processes[index];
    if (!sentinel) throw new Error(`there is no sentinel ${index}`);
    this.#dead.add(sentinel);
    await sentinel.stop();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#processes.map((each) => each.stop()), ...this.servers.map((server) => server.stop())]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #alive(): readonly EngineProcess[] {
    return this.#processes.filter((each) => !this.#dead.has(each));
  }

  /** Every living server but one follows that one. */
  async #untilReplicated(): Promise<void> {
    await until('the replicas follow the primary', async () => {
      const living = this.servers.filter((server) => !this.#dead.has(server));
      const told = await Promise.all(living.map(async (server) => String(await this.send(server, 'INFO', 'replication'))));
      return told.filter((info) => /^role:master/m.test(info)).length <= 1 && told.every((info) => /^role:master|^master_link_status:up/m.test(info));
    });
  }

  async #portToldBy(sentinel: EngineProcess | undefined): Promise<number> {
    if (!sentinel) throw new Error('no sentinel is alive');
    const address = await this.#ask(sentinel, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME);
    return Number((address as string[] | null)?.[1]);
  }

  async #ask({ port }: EngineProcess, ...args: string[]): Promise<RawReply> {
    const { sentinelPassword } = this.#options;
    const login = sentinelPassword === undefined ? '' : `:${encodeURIComponent(sentinelPassword)}@`;
    await using client = await connectRaw(`redis://${login}127.0.0.1:${port}`);
    return await client.send(...args);
  }
}

function sentinelCommand(config: string): string[] {
  const command = engineCommand();
  if (!command) throw new Error('there is no engine to start');
  return [...command, config];
}

/** A field of a flat reply of names and values. */
function factOf(reply: RawReply, name: string): RawReply | undefined {
  const fields = reply as readonly RawReply[];
  const index = fields.indexOf(name);
  return index < 0 ? undefined : fields[index + 1];
}
