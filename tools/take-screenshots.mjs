// Takes the pictures of the page that the documents show, of `millrace try` in Chromium: `node tools/take-screenshots.mjs`, after a build.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const PROGRAM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update'];
/** So that the charts have something to show. */
const WATCHED_MS = 60_000;

const PICTURES = [
  { name: 'page-now', hash: '#/now', waitFor: '.tile' },
  { name: 'page-now-dark', hash: '#/now', waitFor: '.tile', colorScheme: 'dark' },
  { name: 'page-events', hash: '#/events?category=user_friends', waitFor: '.event-row', click: '.event-row >> nth=2' },
  { name: 'page-stream', hash: '#/events?stream=user_activity:daffy', waitFor: '.mark' },
  { name: 'page-document', hash: '#/documents?projection=profiles%401&key=daffy', waitFor: '.slider', slideTo: 'Renamed' },
  { name: 'page-document-dark', hash: '#/documents?projection=profiles%401&key=daffy', waitFor: '.slider', slideTo: 'Renamed', colorScheme: 'dark' },
  { name: 'page-processors', hash: '#/processors?open=profiles%401', waitFor: '.actions' },
  { name: 'page-dead-letters', hash: '#/dead-letters?reactor=welcome-mails%401', waitFor: 'td a', click: 'td a' },
];
const NARROW = [{ name: 'page-narrow', hash: '#/now', waitFor: '.tile', colorScheme: 'dark' }];

const trying = spawn(process.execPath, [at('dist/cli/main.js'), 'try', '--port', '0', '--no-install'], { stdio: ['ignore', 'pipe', 'inherit'] });
const folder = mkdtempSync(join(tmpdir(), 'millrace-pictures-'));
try {
  const url = await addressOf(trying);
  mkdirSync(at('docs/images'), { recursive: true });
  await take(url, { width: 1280, height: 800 }, PICTURES, WATCHED_MS);
  await take(url, { width: 390, height: 844 }, NARROW, 0);
} finally {
  trying.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}

async function addressOf({ stdout }) {
  for await (const line of createInterface(stdout)) {
    const [address] = /http:\/\/\S+token\S+/.exec(line) ?? [];
    if (address !== undefined) return address;
  }
  throw new Error('millrace try ended before it said where the page is');
}

async function take(url, viewport, pictures, watchedMs) {
  const options = { executablePath: PROGRAM, args: FLAGS, headless: true, viewport, timezoneId: 'UTC' };
  const context = await chromium.launchPersistentContext(join(folder, String(viewport.width)), options);
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForTimeout(watchedMs);
  for (const picture of pictures) await takeOne(page, picture);
  await context.close();
}

async function takeOne(page, { name, hash, waitFor, click, slideTo, colorScheme = 'light' }) {
  await page.emulateMedia({ colorScheme });
  await page.goto(`${new URL(page.url()).origin}/${hash}`);
  await page.locator(waitFor).first().waitFor();
  if (click !== undefined) await page.locator(click).first().click();
  if (slideTo !== undefined) await slide(page, slideTo);
  await page.mouse.move(0, 0);
  await page.waitForTimeout(1_000);
  await page.screenshot({ path: at(`docs/images/${name}.png`) });
  console.log(`docs/images/${name}.png`);
}

/** Back from the last event to one of that type. */
async function slide(page, type) {
  const slider = page.getByRole('slider');
  await slider.focus();
  while (!(await slider.getAttribute('aria-valuetext')).includes(`: ${type},`)) {
    if ((await slider.inputValue()) === (await slider.getAttribute('min'))) throw new Error(`no event ${type} in this document`);
    await page.keyboard.press('ArrowLeft');
  }
}
