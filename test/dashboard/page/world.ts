// The world that a test file of the page looks at: made once, with as many events as the environment asks for, or the reason why not.
import { afterAll, beforeAll, onTestFinished, type TestContext } from 'vitest';
import { testUrl, uniqueNamespace } from '../../support/clients.ts';
import { isEmbedded } from '../../support/size.ts';
import { makeWorld, type Served, type World } from '../../workers/page-world.ts';
import { type Browser, startBrowser, type WatchedPage, whyNoBrowser } from './browser.ts';

/** Events where few do. */
const FEW = isEmbedded ? 500 : 5_000;
/** Where many matter; in the full check a million. */
export const MANY: number = Number(process.env['MILLRACE_PAGE_EVENTS'] ?? FEW);
const MAKING_MS_MAX = 300_000;

export interface Scene {
  readonly world: World;
  readonly browser: Browser;
  /** Acts, and has the code of the projections. */
  readonly served: Served;
  /** Opens the page at a place in it, until the test is done: a browser has six connections to a server, and each page keeps one. */
  readonly open: (hash?: string, served?: Served) => Promise<WatchedPage>;
}

/** What stands in the way, for the first line of each test. */
export function skipWithoutBrowser({ skip }: Pick<TestContext, 'skip'>): void {
  const reason = whyNoBrowser();
  if (reason !== undefined) skip(reason);
}

/** One for all tests of a file. Gives the scene, once there is one. */
export function sceneOfFile(events: number = FEW): () => Scene {
  let scene: Scene | undefined;
  beforeAll(async () => {
    if (whyNoBrowser() !== undefined) return;
    const world = await makeWorld({ url: testUrl(), namespace: uniqueNamespace('page'), events });
    const [browser, served] = await Promise.all([startBrowser(), world.serve()]);
    scene = { world, browser, served, open: (hash = '', of = served) => openAt(browser, of, hash) };
  }, MAKING_MS_MAX);
  afterAll(async () => {
    await scene?.browser[Symbol.asyncDispose]();
    await scene?.world[Symbol.asyncDispose]();
  }, MAKING_MS_MAX);
  return () => {
    if (!scene) throw new Error('there is no scene: begin the test with skipWithoutBrowser');
    return scene;
  };
}

/** The token brings one to the beginning; from there to the place. */
async function openAt(browser: Browser, served: Served, hash: string): Promise<WatchedPage> {
  const watched = await browser.open(served.url);
  onTestFinished(() => watched.page.close());
  if (hash !== '') await watched.page.goto(`${new URL(served.url).origin}/${hash}`);
  return watched;
}
