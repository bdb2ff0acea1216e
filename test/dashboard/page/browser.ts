// Starts Chromium as the system has it, with nothing of its own switched on, and pages that note what must not happen.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const PROGRAM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Why there is no browser here, for `skip(reason)`. */
export function whyNoBrowser(): string | undefined {
  return existsSync(PROGRAM) ? undefined : `there is no Chromium at ${PROGRAM}: install it (apt-get install chromium), or name it with CHROMIUM`;
}

export interface Browser extends AsyncDisposable {
  readonly context: BrowserContext;
  open(url: string): Promise<WatchedPage>;
}

export interface WatchedPage {
  readonly page: Page;
  /** What a page must never do: dialogs, errors that nobody caught, what the policy refused, requests to elsewhere. */
  readonly faults: readonly string[];
}

export async function startBrowser(options: BrowserContextOptions = {}): Promise<Browser> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-chromium-'));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: PROGRAM,
    args: FLAGS,
    headless: true,
    viewport: { width: 1_280, height: 800 },
    ...options,
  });
  context.setDefaultTimeout(15_000);
  return {
    context,
    open: (url) => openPage(context, url),
    [Symbol.asyncDispose]: async () => {
      await context.close();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function openPage(context: BrowserContext, url: string): Promise<WatchedPage> {
  const page = await context.newPage();
  const faults: string[] = [];
  const { origin } = new URL(url);
  page.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (/Content Security Policy|Refused to/i.test(message.text())) faults.push(`policy: ${message.text()}`);
  });
  page.on('request', (request) => {
    const to = new URL(request.url());
    if (to.protocol !== 'data:' && to.origin !== origin) faults.push(`request to ${to.origin}`);
  });
  await page.goto(url);
  return { page, faults };
}

/** Whether anything hostile ran. */
export async function isHacked(page: Page): Promise<boolean> {
  return await page.evaluate(() => 'hacked' in window);
}
