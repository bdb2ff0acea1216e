// Names, data and errors that would be HTML or JavaScript are only ever text; and nothing of another origin gets in.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'millrace';
import type { Page } from 'playwright-core';
import { describe, expect, onTestFinished, test } from 'vitest';
import { HOSTILE } from '../../workers/page-world.ts';
import { isHacked } from './browser.ts';
import { sceneOfFile, skipWithoutBrowser } from './world.ts';

const scene = sceneOfFile();

async function seen(page: Page, text: string): Promise<void> {
  await page.getByText(text, { exact: false }).first().waitFor();
}

const VIEWS: readonly (readonly [hash: string, text: string])[] = [
  ['#/now', 'hostile-mails@1 gave up on'],
  ['#/events?category=hostile', HOSTILE.type],
  [`#/events?${new URLSearchParams({ stream: `hostile:${HOSTILE.id}` }).toString()}`, HOSTILE.type],
  [`#/event?${new URLSearchParams({ stream: `hostile:${HOSTILE.id}`, version: '1' }).toString()}`, '</script><script>window.hacked='],
  [`#/event?${new URLSearchParams({ stream: `hostile:${HOSTILE.id}`, version: '2' }).toString()}`, HOSTILE.rightToLeft],
  [`#/documents?${new URLSearchParams({ projection: 'hostile@1' }).toString()}`, HOSTILE.id],
  [`#/documents?${new URLSearchParams({ projection: 'hostile@1', key: HOSTILE.id, step: '1' }).toString()}`, 'window.hacked="key"'],
  [`#/documents?${new URLSearchParams({ projection: 'hostile@1', key: HOSTILE.long }).toString()}`, HOSTILE.long],
  ['#/processors?open=hostile-mails%401', 'hostile-mails@1'],
  ['#/dead-letters?reactor=hostile-mails%401', "window.hacked = 'error'"],
  [`#/events?${new URLSearchParams({ category: HOSTILE.type, type: HOSTILE.type }).toString()}`, 'No events fit.'],
  [`#/${HOSTILE.id}?${HOSTILE.type}`, 'There is no such view.'],
  [`#/processors?${new URLSearchParams({ open: HOSTILE.type }).toString()}`, 'There is no'],
  [`#/documents?${new URLSearchParams({ projection: HOSTILE.type, key: HOSTILE.type }).toString()}`, 'Expected a name with its version'],
];

describe('what is hostile', () => {
  test.for(VIEWS)('is text at %s', async ([hash, text], context) => {
    skipWithoutBrowser(context);
    const { page, faults } = await scene().open(hash);
    await seen(page, text);
    expect(await isHacked(page)).toBe(false);
    expect(faults).toEqual([]);
    expect(
      await page.evaluate(() => document.querySelectorAll('#page script, #page img, #page iframe, #page [onerror], #page [onload]').length),
    ).toBe(0);
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
  });

  test('is text in a dead letter that is opened, its stack included', async (context) => {
    skipWithoutBrowser(context);
    const { page, faults } = await scene().open('#/dead-letters?reactor=hostile-mails%401');
    await page.getByRole('link').filter({ hasText: 'window.hacked="type"' }).first().click();
    await page.getByText('Stack', { exact: true }).click();
    await seen(page, "<script>window.hacked = 'error'</script>");
    expect(await isHacked(page)).toBe(false);
    expect(faults).toEqual([]);
  });
});

/** A page of another origin, that of another port. */
async function otherOrigin(html: string): Promise<string> {
  const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end(html));
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

describe('from another origin', () => {
  test('nothing is read, nothing is done, and the page is not framed', async (context) => {
    skipWithoutBrowser(context);
    const { open, browser, served, world } = scene();
    await open(); // so that the browser has the cookie
    const { origin } = new URL(served.url);
    const attacker = await browser.context.newPage();
    await attacker.goto(await otherOrigin(`<iframe id="framed" src="${origin}/"></iframe>`));
    const tried = await attacker.evaluate(async (target) => {
      const outcome = async (of: Promise<Response>): Promise<string> =>
        await of.then(
          async (reply) => `${reply.type} ${reply.status} ${await reply.text()}`,
          () => 'refused',
        );
      const headers = { 'content-type': 'application/json', 'x-millrace': 'page' };
      const body = '{"target":"orders@1"}';
      return await Promise.all([
        outcome(fetch(`${target}/api/settings`, { credentials: 'include' })),
        outcome(fetch(`${target}/api/settings`, { credentials: 'include', mode: 'no-cors' })),
        outcome(fetch(`${target}/api/pause`, { method: 'POST', credentials: 'include', headers, body })),
        outcome(fetch(`${target}/api/pause`, { method: 'POST', credentials: 'include', mode: 'no-cors', body })),
      ]);
    }, origin);
    expect(tried.map((each) => each.replace(/^opaque 0 $/, 'refused'))).toEqual(['refused', 'refused', 'refused', 'refused']);
    const heard = await attacker.evaluate(
      (target) =>
        new Promise((resolve) => {
          const source = new EventSource(`${target}/api/live`, { withCredentials: true });
          source.addEventListener('now', () => resolve('heard'));
          source.addEventListener('error', () => resolve('refused'));
        }),
      origin,
    );
    expect(heard).toBe('refused');
    const framed = attacker.frames().find((frame) => frame !== attacker.mainFrame());
    expect(await framed?.evaluate(() => document.getElementById('page') === null).catch(() => true)).toBe(true);
    const facts = await inspect(world.store).processors();
    expect(facts.find(({ name }) => name === 'orders')?.isPaused).toBe(false);
  });
});
