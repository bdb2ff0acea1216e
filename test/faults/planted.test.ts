// Real short runs with a mistake planted into the workload: the checkers have to find it, and name the promise that it breaks.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import { whyNoEngine } from '../support/engine.ts';

const PROGRAM = fileURLToPath(new URL('../../build/faults/main.js', import.meta.url));
const TIMEOUT_MS = 120_000;

beforeEach(({ skip }) => {
  if (!process.env['MILLRACE_PLANTED_RUNS']) skip('takes a minute: set MILLRACE_PLANTED_RUNS, as .ci/run does');
  const why = whyNoEngine();
  if (why !== undefined) skip(why);
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: run npx tsc -b faults first, as npm run check does`);
});

async function run(...args: string[]): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = spawn(process.execPath, [PROGRAM, '--seed', '5', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (data: Buffer) => (said += data.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, said };
}

describe('a run under faults', { timeout: TIMEOUT_MS }, () => {
  test.each([
    ['appends that are not deduplicated', 'no-deduplication', '(a) acknowledged events are there once'],
    ['versions that are taken from the length of the log', 'version-from-length', '(c) one winner for each version'],
    ['events that are acknowledged before they are handled', 'acknowledge-first', '(f) events reach reactors in order'],
    ['a projection that counts some events twice', 'counts-twice', '(g) documents are the fold'],
  ])('finds %s', async (_, plant, checker) => {
    const { code, said } = await run('--seconds', '8', '--plant', plant);
    expect(said).toContain(`FAIL ${checker}`);
    expect(code).toBe(1);
  });

  test('finds nothing where nothing is planted', async () => {
    const { code, said } = await run('--seconds', '8');
    expect(said).toContain('no violation');
    expect(code).toBe(0);
  });
});
