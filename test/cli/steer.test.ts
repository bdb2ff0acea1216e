// Tests the commands that act on what runs: processors, pause, resume, rewind, rebuild, flip, drop, dead-letters.
import { type EventStore, type ProcessorFacts, StreamProcessor } from 'millrace';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { uniqueNamespace } from '../support/clients.ts';
import { project, throwingAt, until } from '../support/processors.ts';
import { note, notes, openStore } from '../support/store.ts';
import { failsAt, leavers, profiles, profiles2, reactors, users } from './app.ts';
import { jsonLinesOf, jsonOf, reaching, runHere } from './run-cli.ts';

const APP = ['-a', 'test/cli/app.ts'];

let namespace: string;
let store: EventStore;
let at: readonly string[];

beforeEach(async () => {
  namespace = uniqueNamespace();
  store = await openStore({ namespace, partitions: 1 });
  at = reaching(namespace);
  failsAt.clear();
  failsAt.add('Fails');
});

afterEach(async () => {
  await store.close();
});

async function register(id: string, ...names: readonly string[]): Promise<void> {
  for (const name of names) await store.append(users.stream(id), { type: 'Registered', data: { name } });
}

/** A processor that runs all of the app but the second version. */
async function startAll(): Promise<StreamProcessor> {
  const processor = new StreamProcessor(store, { projections: [profiles], reactors: [...reactors, leavers], leaseMs: 1_000 });
  processor.on('failed', () => {});
  processor.start();
  await until('all is done with', async () => {
    const found = await jsonOf<ProcessorFacts[]>([...at, 'processors']);
    return found.length === 3 && found.every(({ lagEvents, owners }) => lagEvents === 0 && owners.length === 1);
  });
  return processor;
}

describe('processors', () => {
  test('shows who runs what, how far it is, and its dead letters; with a name each partition', async () => {
    expect((await runHere([...at, 'processors'])).stderr).toContain('Nothing is known to run here');
    await register('1', 'Fails', 'Daffy');
    await using processor = await startAll();
    const { stdout } = await runHere([...at, 'processors']);
    expect(stdout).toMatch(/^kind +name +state +checkpoint +behind +since +events\/s +done +dead +run by\n/);
    expect(stdout).toMatch(new RegExp(`projection +profiles@1 +running, serves +\\d+-\\d+ +0 +\\d+ +100 % +\\S+/${process.pid}`));
    expect(stdout).toMatch(/reactor +mails@1 +running +\d+-\d+ +0 .* 1 +\S+/);
    expect(stdout).toMatch(/process manager +leavers@1/);
    const one = await runHere([...at, 'processors', 'mails']);
    expect(one.stdout).toMatch(/partition +checkpoint .*\n +0 +\d{13}-\d+ +2 +0 +1 +1 /);
    expect(processor).toBeDefined();
  });

  test('shows what stands still, and why', async () => {
    await store.append(notes.stream('1'), [note(1), note(2)]);
    await using processor = new StreamProcessor(store, { projections: [throwingAt([2])] });
    processor.on('failed', () => {});
    processor.start();
    await until('it stands still', async () => (await runHere([...at, 'processors'])).stdout.includes('stands still'));
    expect((await runHere([...at, 'processors'])).stdout).toMatch(
      /throwing@1 stands still in partition 0, since .*:\n {2}ProjectionFailedError: .*cannot fold 2/,
    );
  });

  test('watches until Ctrl-C, which is how that ends well', async () => {
    await register('1', 'Daffy');
    await project(store, profiles);
    const watched = await runHere([...at, 'processors', '--watch', '0.2', '--json'], { interruptWhen: (stdout) => stdout.split('\n').length > 2 });
    expect(watched).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(watched.stdout.split('\n')[1] ?? '')).toMatchObject([{ name: 'profiles' }]);
    const drawn = await runHere([...at, 'processors', '--watch', '0.2'], {
      columns: 100,
      interruptWhen: (stdout) => stdout.split('every 0.2 s').length > 2,
    });
    expect(drawn.stdout).toContain('\u001b[H\u001b[2J');
    expect(await runHere([...at, 'processors', '--watch', 'often'])).toMatchObject({ code: 2, stderr: expect.stringContaining('Expected seconds') });
  });

  test('that are not known are told with those that are', async () => {
    await project(store, profiles, profiles2);
    expect(await runHere([...at, 'pause', 'nobody'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('found only profiles@1, profiles@2'),
    });
    expect(await runHere([...at, 'pause', 'profiles'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Name one: profiles@1, profiles@2'),
    });
    expect(await runHere([...at, 'pause', 'profiles@x'])).toMatchObject({ code: 2, stderr: expect.stringContaining('name with its version') });
  });
});

describe('pause, resume and rewind', () => {
  test('hold a projection, let it go on, and begin it again', async () => {
    await register('1', 'Duffy');
    await using processor = await startAll();
    expect(await runHere([...at, 'pause', 'profiles'])).toMatchObject({ code: 0, stdout: 'profiles@1 is paused.\n' });
    await register('1', 'Daffy');
    expect(await jsonOf([...at, 'processors', 'profiles'])).toMatchObject([{ isPaused: true, lagEvents: 1 }]);
    expect((await runHere([...at, 'processors'])).stdout).toMatch(/profiles@1 +paused/);
    expect(await runHere([...at, 'resume', 'profiles@1'])).toMatchObject({ code: 0 });
    await until('it goes on', async () => (await jsonOf<ProcessorFacts[]>([...at, 'processors', 'profiles']))[0]?.lagEvents === 0);
    const asked = await runHere([...at, 'rewind', 'profiles']);
    expect(asked).toMatchObject({ code: 2, stdout: '' });
    expect(asked.stderr).toContain('would lose its documents');
    expect(asked.stderr).toContain('--yes');
    expect(await runHere([...at, 'rewind', 'profiles', '--yes'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('begins again at start'),
    });
    await until('it is folded again', async () => (await jsonOf<ProcessorFacts[]>([...at, 'processors', 'profiles']))[0]?.eventsDone === 2);
    expect(processor).toBeDefined();
  });

  test('set a reactor to any place, a projection only to the start', async () => {
    await register('1', 'Duffy', 'Fails');
    await (await startAll()).stop();
    expect(await runHere([...at, 'rewind', 'mails', '--to', 'now', '--yes'])).toMatchObject({ code: 0, stdout: expect.stringContaining('at now') });
    expect(await runHere([...at, 'rewind', 'mails', '--to', '1h', '--yes'])).toMatchObject({ code: 0 });
    expect(await jsonOf([...at, 'processors', 'mails'])).toMatchObject([{ lagEvents: 2, deadLetters: 0 }]);
    expect(await runHere([...at, 'rewind', 'profiles', '--to', 'now', '--yes'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("'start'"),
    });
    expect(await runHere([...at, 'rewind', 'mails', '--to', 'then', '--yes'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Expected start, end'),
    });
  });
});

describe('rebuild, flip and drop', () => {
  test('build a version here, compare it with the one that serves, and flip readers only where nothing differs', async () => {
    await register('1', 'Duffy', 'Daffy');
    await register('2', 'Daisy');
    await project(store, profiles);
    const built = await runHere([...at, ...APP, 'rebuild', 'profiles@2', '--run', '--compare', '--flip']);
    expect(built.stdout).toContain('profiles@2 has folded 3 events');
    expect(built.stdout).toContain('- changes: 2');
    expect(built.stdout).toContain('2 documents differ between profiles@2 and profiles@1');
    expect(built.stdout).toContain('Readers were not flipped');
    expect(built.code).toBe(1);
    expect(await runHere([...at, 'drop', 'profiles@1', '--yes'])).toMatchObject({ code: 0 });
    expect(await jsonOf([...at, ...APP, 'rebuild', 'profiles@2', '--flip'])).toEqual({
      name: 'profiles',
      version: 2,
      eventsFolded: 3,
      isFlipped: true,
    });
  });

  test('wait for a version that others build, until Ctrl-C; what is paused is told', async () => {
    await register('1', 'Duffy');
    await project(store, profiles2);
    await register('1', 'Daffy');
    const interrupted = runHere([...at, 'rebuild', 'profiles@2'], { interruptWhen: () => false });
    await project(store, profiles2);
    expect(await interrupted).toMatchObject({ code: 0, stdout: expect.stringContaining('has caught up') });
    await register('1', 'Donald');
    await runHere([...at, 'pause', 'profiles@2']);
    expect(await runHere([...at, 'rebuild', 'profiles@2'])).toMatchObject({ code: 2, stderr: expect.stringContaining('millrace resume profiles@2') });
    expect(await runHere([...at, 'rebuild', 'profiles'])).toMatchObject({ code: 2, stderr: expect.stringContaining('Expected name@version') });
    expect(await runHere([...at, 'rebuild', 'profiles@2', '--run'])).toMatchObject({ code: 1, stderr: expect.stringContaining('--app') });
  });

  test('flip readers there and back, and say how', async () => {
    await register('1', 'Duffy');
    await project(store, profiles, profiles2);
    expect((await runHere([...at, 'flip', 'profiles@1'])).stdout).toContain('profiles@1 serves');
    expect((await runHere([...at, 'flip', 'profiles@2'])).stdout).toContain('Back: millrace flip profiles@1');
    expect(await jsonOf([...at, 'flip', 'profiles@1'])).toEqual({ name: 'profiles', version: 1, before: 2 });
    await register('1', 'Daffy');
    const behind = await runHere([...at, 'flip', 'profiles@2', '--wait', '100']);
    expect(behind).toMatchObject({ code: 1, stderr: expect.stringContaining('Readers were not flipped') });
    expect(await runHere([...at, 'flip', 'profiles@2', '--even-if-behind'])).toMatchObject({ code: 0 });
    expect(await runHere([...at, 'flip', 'profiles'])).toMatchObject({ code: 2, stderr: expect.stringContaining('which version is to serve') });
  });

  test('drop what nobody runs or reads, and nothing else', async () => {
    await register('1', 'Duffy', 'Fails');
    const processor = await startAll();
    expect(await runHere([...at, 'drop', 'mails', '--yes'])).toMatchObject({ code: 1, stderr: expect.stringContaining('Nothing was dropped') });
    await processor.stop();
    const asked = await runHere([...at, 'drop', 'mails']);
    expect(asked).toMatchObject({ code: 2, stderr: expect.stringContaining('1 dead letters of reactor mails@1 would be removed for good') });
    expect(await runHere([...at, 'drop', 'mails', '--yes'])).toMatchObject({ code: 0, stdout: 'mails@1 is gone.\n' });
    expect((await jsonOf<ProcessorFacts[]>([...at, 'processors'])).map(({ name }) => name)).toEqual(['profiles', 'leavers']);
  });
});

describe('dead-letters', () => {
  let processor: StreamProcessor;

  beforeEach(async () => {
    await register('1', 'Fails', 'Daffy');
    await register('2', 'Fails');
    await register('3', 'Fails');
    processor = await startAll();
  });

  afterEach(async () => {
    await processor.stop();
  });

  const ids = async (): Promise<string[]> => (await jsonLinesOf<{ id: string }>([...at, 'dead-letters', 'list', 'mails'])).map(({ id }) => id);

  test('are listed by reactor, one by one, and shown whole', async () => {
    expect(await jsonOf([...at, 'dead-letters'])).toMatchObject([
      { name: 'mails', deadLetters: 3, eventsWaiting: 1 },
      { name: 'leavers', deadLetters: 0 },
    ]);
    expect((await runHere([...at, 'dead-letters'])).stdout).toMatch(/reactor +mails@1 +3 +1\n/);
    const listed = await runHere([...at, 'dead-letters', 'list', 'mails', '--limit', '2']);
    expect(listed.stdout).toMatch(/\d+-\d+ +users:1@1 +Registered +no mail for Fails +1 /);
    expect(listed.stderr).toContain('There are 3');
    const [first = ''] = await ids();
    const shown = await runHere([...at, 'dead-letters', 'show', 'mails', first]);
    expect(shown.stdout).toContain('Error: no mail for Fails');
    expect(shown.stdout).toMatch(/waiting +1 events of 1 behind it/);
    expect(await jsonOf([...at, 'dead-letters', 'show', 'mails', first])).toMatchObject({ id: first, eventsWaiting: 1, attempts: 1 });
    expect((await runHere([...at, 'dead-letters', 'list', 'leavers'])).stderr).toContain('No dead letters');
  });

  test('are tried again: one, several, all, or those that are chosen', async () => {
    const [first = '', second = ''] = await ids();
    expect(await jsonOf([...at, 'dead-letters', 'retry', 'mails', '--all', '--error', 'another'])).toEqual({ asked: 0, left: 3 });
    const again = await runHere([...at, 'dead-letters', 'retry', 'mails', first, '--wait']);
    expect(again).toMatchObject({ code: 1, stdout: `1 is tried again; 3 are open now.\n${first} failed again: Error: no mail for Fails\n` });
    failsAt.clear();
    expect(await runHere([...at, 'dead-letters', 'retry', 'mails', first, second])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('2 are tried again'),
    });
    expect(await runHere([...at, 'dead-letters', 'retry', 'mails', '--all', '--type', 'Registered', '--wait'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('0 are open now'),
    });
    expect(await runHere([...at, 'dead-letters', 'retry', 'mails', first])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('1 of 1 is not open'),
    });
  });

  test('are tried again with another event, which is checked first', async () => {
    const [first = ''] = await ids();
    const edit = (...args: readonly string[]) => runHere([...at, 'dead-letters', 'edit', 'mails', first, ...args], { input: '{"name":"Mended"}' });
    expect(await edit('--data', '{name}')).toMatchObject({ code: 2, stderr: expect.stringContaining('Expected JSON') });
    expect(await edit('--type', 'Left')).toMatchObject({ code: 2, stderr: expect.stringContaining('Left') });
    expect(await edit()).toMatchObject({ code: 2, stderr: expect.stringContaining('$EDITOR') });
    // What else is dead makes no failure of it.
    expect(await edit('--data', '-', '--wait')).toMatchObject({ code: 0, stdout: '1 is tried again; 2 are open now.\n' });
    expect(await jsonLinesOf([...at, 'read', 'users:1', '--limit', '1'])).toMatchObject([{ data: { name: 'Fails' } }]);
  });

  test('are edited in the editor of whoever looks on', async () => {
    const [, second = ''] = await ids();
    const editor = `node -e "const f=process.argv[1],fs=require('fs');fs.writeFileSync(f,fs.readFileSync(f,'utf8').replace('Fails','Mended'))"`;
    const args = [...at, 'dead-letters', 'edit', 'mails', second, '--wait'];
    expect(await runHere(args, { columns: 80, env: { EDITOR: 'false' } })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('The editor (false) ended with 1'),
    });
    expect(await runHere(args, { columns: 80, env: { EDITOR: editor } })).toMatchObject({ stdout: '1 is tried again; 2 are open now.\n' });
  });

  test('are discarded: some by their ids, all only where that is meant', async () => {
    const [first = '', second = ''] = await ids();
    expect(await runHere([...at, 'dead-letters', 'discard', 'mails', first, '--json'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('"discarded": 1'),
    });
    expect(await runHere([...at, 'dead-letters', 'discard', 'mails', first, second])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('1 of 2 were not open'),
    });
    expect(await runHere([...at, 'dead-letters', 'discard', 'mails', '--all'])).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') });
    expect(await runHere([...at, 'dead-letters', 'discard', 'mails', '--all', '--yes'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('0 are open still'),
    });
  });

  test('that are not there, or not named, are told', async () => {
    for (const [args, code, words] of [
      [['show', 'mails', '1767225600000-0'], 1, 'found none'],
      [['show', 'mails', 'first'], 2, 'Invalid id of a dead letter'],
      [['list', 'profiles'], 1, 'found only mails@1, leavers@1'],
      [['retry', 'mails'], 2, 'found neither'],
      [['retry', 'mails', '1767225600000-0', '--all'], 2, 'found both'],
      [['retry', 'mails', '1767225600000-0', '--type', 'T'], 2, 'Expected --all'],
    ] as const) {
      const found = await runHere([...at, 'dead-letters', ...args]);
      expect(found.stderr, words).toContain(words);
      expect(found.code, words).toBe(code);
    }
  });
});
