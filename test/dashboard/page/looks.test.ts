// How the page is for everybody: contrast and names by axe in both themes, the keyboard alone, and a narrow screen.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { readFiles } from '../../tidy/sources.ts';
import { startBrowser } from './browser.ts';
import { sceneOfFile, skipWithoutBrowser } from './world.ts';

const scene = sceneOfFile();
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const VIEWS = [
  '#/now',
  '#/events?category=orders',
  '#/events?stream=payments:card-1',
  '#/event?stream=payments:card-1&version=2',
  '#/documents?projection=orders%401',
  '#/documents?projection=orders%401&key=order-7&step=6',
  '#/documents?projection=orders%401&key=order-7&step=8',
  '#/processors?open=balances%402',
  '#/compare?first=balances%401&second=balances%402',
  '#/dead-letters?reactor=receipts%401',
  '#/event?stream=orders:none&version=1',
];

/** Each view, once it is there. */
async function visit(page: Page, hash: string): Promise<void> {
  await page.evaluate((to) => {
    location.hash = to;
  }, hash);
  await page.waitForFunction(() => {
    const main = document.querySelector('main');
    return main !== null && main.childElementCount > 0 && !main.textContent.includes('Loading ');
  });
}

interface AxeResult {
  readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[] }[];
}

/** Run from outside of the page, whose policy would refuse it. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const { violations: found } = await page.evaluate(
    async () =>
      await (globalThis as typeof globalThis & { readonly axe: { run(options: object): Promise<AxeResult> } }).axe.run({
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
      }),
  );
  return found.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary ?? ''}`));
}

describe('accessibility', () => {
  test.for(['light', 'dark'] as const)('axe finds nothing in any view, %s', { timeout: 120_000 }, async (colorScheme, context) => {
    skipWithoutBrowser(context);
    const { page } = await scene().open();
    await page.emulateMedia({ colorScheme });
    for (const hash of VIEWS) {
      await visit(page, hash);
      expect(await violations(page), hash).toEqual([]);
    }
    await visit(page, '#/processors?open=balances%402');
    await page.getByRole('button', { name: 'Drop …' }).click();
    expect(await violations(page), 'a question').toEqual([]);
  });

  test('the theme is that of the system, or the one that was chosen, which is remembered', async (context) => {
    skipWithoutBrowser(context);
    const { page } = await scene().open();
    const ground = (): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await page.emulateMedia({ colorScheme: 'light' });
    const light = await ground();
    await page.emulateMedia({ colorScheme: 'dark' });
    const dark = await ground();
    expect(dark).not.toBe(light);
    const theme = page.getByRole('button', { name: /Theme/ });
    await theme.click();
    expect(await ground()).toBe(light);
    await page.reload();
    expect(await ground()).toBe(light);
    await theme.click();
    await page.emulateMedia({ colorScheme: 'light' });
    expect(await ground()).toBe(dark);
    await theme.click();
  });
});

describe('the keyboard', () => {
  test('goes to each view, to the search, and shows what keys there are', async (context) => {
    skipWithoutBrowser(context);
    const { page } = await scene().open();
    await page.locator('main').waitFor();
    for (const [key, view] of [
      ['e', 'events'],
      ['d', 'documents'],
      ['p', 'processors'],
      ['l', 'dead-letters'],
      ['n', 'now'],
    ]) {
      await page.keyboard.press('g');
      await page.keyboard.press(key ?? '');
      await page.waitForURL(`**/#/${view ?? ''}`);
    }
    await page.keyboard.press('g');
    await page.keyboard.press('e');
    await page.getByRole('search').waitFor();
    await page.keyboard.press('/');
    expect(await page.evaluate(() => document.activeElement?.getAttribute('name'))).toBe('category');
    await page.keyboard.type('g?');
    expect(await page.getByRole('dialog').count()).toBe(0);
    await page.keyboard.press('Tab');
    await page.locator('main').focus();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  });

  test('begins with a link past the menu, and shows where it is', async (context) => {
    skipWithoutBrowser(context);
    const { page } = await scene().open('#/events?category=payments');
    await page.locator('.event-row').first().waitFor();
    await page.reload();
    await page.locator('.event-row').first().waitFor();
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to what is shown');
    expect(await page.evaluate(() => getComputedStyle(document.activeElement ?? document.body).outlineStyle)).toBe('solid');
    await page.keyboard.press('Enter');
    expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('MAIN');
    await page.locator('.event-row').first().focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.locator('.split-detail').waitFor();
    expect(await page.locator('.event-row').nth(1).getAttribute('aria-current')).toBe('true');
  });
});

describe('a narrow screen', () => {
  test('is never scrolled sideways', async (context) => {
    skipWithoutBrowser(context);
    await using narrow = await startBrowser({ viewport: { width: 390, height: 844 } });
    const { page } = await narrow.open(scene().served.url);
    for (const hash of [...VIEWS, '#/events?category=hostile', '#/dead-letters?reactor=hostile-mails%401', '#/documents?projection=hostile%401']) {
      await visit(page, hash);
      expect(await page.evaluate(() => document.documentElement.scrollWidth), hash).toBe(390);
    }
  });
});

describe('what the page is made of', () => {
  test('sets text only as text', () => {
    const sources = readFiles(['src/dashboard/page'], /\.(tsx?|html)$/);
    const risky = /innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|\beval\(|new Function|<script>|\son\w+="|style="/;
    expect(sources.length).toBeGreaterThan(20);
    expect(sources.filter(({ text }) => risky.test(text)).map(({ path }) => path)).toEqual([]);
  });

  test('is small, and asks for nothing from elsewhere', () => {
    const built = readFiles(['dist/dashboard/page/page.js', 'dist/dashboard/page/page.css', 'dist/dashboard/page/index.html'], /./);
    expect(built).toHaveLength(3);
    expect(built.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThan(120_000);
    const addresses = built
      .flatMap(({ text }) => text.match(/https?:\/\/[^"'`\s)]+/g) ?? [])
      .filter((address) => !address.startsWith('http://www.w3.org/'));
    expect(addresses).toEqual([]);
  });
});
