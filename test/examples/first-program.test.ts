// Runs the program that the README begins with.
import { readFileSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { testUrl } from '../support/clients.ts';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

test('the first program has at most 30 lines, and prints what its comment says', async () => {
  vi.stubEnv('REDIS_URL', testUrl());
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  await import('../../examples/first-program.ts');
  expect(log.mock.calls).toEqual([[{ name: 'Daffy', surname: 'Duck', changes: 2 }]]);
  const text = readFileSync(new URL('../../examples/first-program.ts', import.meta.url), 'utf8');
  expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(30);
});
