// What the views show, in a real browser over a store with many events: found, opened, followed, slid through, and linked to.
import { describe, expect, test } from 'vitest';
import { startEngine, whyNoEngine } from '../../support/engine.ts';
import { until } from '../../support/processors.ts';
import { orders } from '../../workers/page-app.ts';
import { makeWorld } from '../../workers/page-world.ts';
import { MANY, sceneOfFile, skipWithoutBrowser } from './world.ts';

const scene = sceneOfFile(MANY);
const ORDER = 'order-7';

describe('the view of now', () => {
  test('shows figures and charts, live without reloading', async (context) => {
    skipWithoutBrowser(context);
    const { open, world } = scene();
    const { page, faults } = await open();
    await page.getByText('Appends a second').first().waitFor();
    const events = page.locator('.tile', { hasText: /^Events/ }).locator('.figure');
    expect(Number((await events.textContent())?.replaceAll(',', ''))).toBeGreaterThanOrEqual(MANY);
    const before = await events.textContent();
    await world.store.append(orders.stream('new-1'), { type: 'OrderPaid', data: { amount: 1 } });
    await until('the number of events changes', async () => (await events.textContent()) !== before);
    expect(await page.locator('.chart').count()).toBe(3);
    expect(await page.getByRole('link', { name: 'receipts@1 gave up on 3 events.' }).count()).toBe(1);
    expect(await page.title()).toBe(`Now · ${world.namespace} · millrace`);
    expect(faults).toEqual([]);
  });

  test('says since when it is not live, and is live again by itself', async (context) => {
    skipWithoutBrowser(context);
    const { open, world } = scene();
    const served = await world.serve();
    const { page } = await open('', served);
    await page.getByText('Live', { exact: false }).first().waitFor();
    const { port } = new URL(served.url);
    await served.stop();
    await page.getByText(/Not live since \d\d:\d\d:\d\d/).waitFor();
    await page.getByText('The server of this page does not answer.', { exact: false }).first().waitFor();
    expect(await page.locator('.tile').count()).toBe(6);
    // Another token: the page is told how to get in, which is not to be live.
    const again = await world.serve({ port: Number(port) });
    await page.goto(again.url);
    await page.locator('.live.good').waitFor();
    expect(await page.getByText(/Not live since/).count()).toBe(0);
  });
});

describe('the connection', () => {
  test('is given up while nobody looks at the page, and taken again: a browser has six to a server', async (context) => {
    skipWithoutBrowser(context);
    const { page } = await scene().open();
    const asked: string[] = [];
    page.on('request', (request) => void asked.push(new URL(request.url()).pathname));
    await page.locator('.live.good').waitFor();
    const look = (isHidden: boolean): Promise<void> =>
      page.evaluate((hidden) => {
        Object.defineProperty(document, 'hidden', { configurable: true, value: hidden });
        document.dispatchEvent(new Event('visibilitychange'));
      }, isHidden);
    const ended = page.waitForEvent('requestfailed', (request) => request.url().endsWith('/api/live'));
    await look(true);
    await ended;
    await look(false);
    await until('it is asked for again', () => asked.includes('/api/live'));
    await page.locator('.live.good').waitFor();
  });

  test('lost to Redis is told in words, and comes back by itself', async (context) => {
    skipWithoutBrowser(context);
    const reason = whyNoEngine();
    if (reason !== undefined) context.skip(reason);
    await using engine = await startEngine();
    await using world = await makeWorld({ url: engine.url, namespace: 'away', events: 10 });
    const { page } = await scene().open('', await world.serve());
    await page.locator('.live.good').waitFor();
    await engine.kill();
    await page.getByText(/Not live since .* It tries again by itself\. \S+/).waitFor();
    await engine.restart();
    await page.locator('.live.good').waitFor();
    expect(await page.locator('.banner').count()).toBe(0);
  });
});

describe('the view of events', () => {
  test('shows the last events at once, and older ones page by page', async (context) => {
    skipWithoutBrowser(context);
    const { page, faults } = await scene().open('#/events?category=orders');
    await page.locator('.event-row').first().waitFor();
    expect(await page.locator('.event-row').count()).toBe(100);
    await page.getByRole('button', { name: 'Older events' }).click();
    await until('there are two pages', async () => (await page.locator('.event-row').count()) === 200);
    expect(faults).toEqual([]);
  });

  test('finds by stream, by type, by id and by time, and has it in the address', async (context) => {
    skipWithoutBrowser(context);
    const { page } = await scene().open('#/events');
    await page.keyboard.press('/');
    await page.getByLabel('Stream').fill(`orders:${ORDER}`);
    await page.getByLabel('Type').fill('ItemAdded');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: '6 events' }).waitFor();
    expect(new URL(page.url()).hash).toBe(`#/events?stream=orders%3A${ORDER}&type=ItemAdded`);
    await page.getByLabel('Event id').fill(`orders:${ORDER}@9`);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'OrderPaid' }).waitFor();
    await page.goto(page.url().replace(/#.*/, '#/events?category=payments&since=2000-01-01T00:00:00Z&until=2001-01-01T00:00:00Z'));
    await page.getByText('No events fit.').waitFor();
  });

  test('opens an event with its data, metadata, cause and effects, each a link', async (context) => {
    skipWithoutBrowser(context);
    const { page } = await scene().open('#/events?stream=payments:card-1');
    await page.locator('.event-row').first().click();
    const detail = page.locator('.split-detail');
    await detail.getByRole('heading', { name: 'PaymentReceived' }).waitFor();
    expect(await detail.locator('.json').first().textContent()).toContain('amount: 10');
    expect(await detail.getByText('causationId').count()).toBe(1);
    await detail.getByRole('link', { name: /PaymentRequested payments:card-1/ }).click();
    await page
      .locator('.detail')
      .getByRole('link', { name: /PaymentReceived payments:card-1/ })
      .waitFor();
    await page.goBack();
    await page.locator('.split-detail').getByRole('heading', { name: 'PaymentReceived' }).waitFor();
  });

  test('draws the stream over time, a lane for each type', async (context) => {
    skipWithoutBrowser(context);
    const { page } = await scene().open(`#/events?stream=orders:${ORDER}`);
    await page.locator('.mark').first().waitFor();
    expect(await page.locator('.lane .marks').count()).toBe(5);
    expect(await page.locator('.mark').count()).toBe(10);
  });

  test('follows what is appended, and holds it back while paused', async (context) => {
    skipWithoutBrowser(context);
    const { open, world } = scene();
    const { page, faults } = await open('#/events?category=orders&type=OrderShipped');
    await page.getByRole('button', { name: 'Follow live' }).click();
    await page.getByText('Waiting for the next event.').waitFor();
    const append = (carrier: string): Promise<unknown> => world.store.append(orders.stream('followed'), { type: 'OrderShipped', data: { carrier } });
    await append('first');
    await page.locator('.event-row', { hasText: 'first' }).waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    await append('second');
    await page.getByRole('button', { name: 'Go on, 1 new' }).waitFor();
    expect(await page.locator('.event-row').count()).toBe(1);
    await page.getByRole('button', { name: 'Go on, 1 new' }).click();
    await page.locator('.event-row', { hasText: 'second' }).waitFor();
    expect(await page.locator('.event-row').count()).toBe(2);
    expect(faults).toEqual([]);
  });
});

describe('the view of documents', () => {
  test('finds a document by how its key begins', async (context) => {
    skipWithoutBrowser(context);
    const { page } = await scene().open('#/documents?projection=orders%401');
    await page.getByLabel('Key begins with').fill('order-42');
    await page.keyboard.press('Enter');
    await page.locator('.keys-list').getByRole('link', { name: 'order-42', exact: true }).click();
    await page.getByRole('slider').waitFor();
    expect(await page.getByRole('slider').getAttribute('aria-valuetext')).toMatch(/^10 of 10: OrderShipped/);
  });

  test('slides through its events by keyboard, with what changed marked in words and signs, and links to where it stands', async (context) => {
    skipWithoutBrowser(context);
    const { page, faults } = await scene().open(`#/documents?projection=orders%401&key=${ORDER}&step=6`);
    const document = page.locator('.two .json').first();
    await page.getByRole('heading', { name: 'Document after event 6' }).waitFor();
    expect(await document.locator('.node.added').textContent()).toMatch(/^\+added sku-/);
    expect(await document.locator('.node.changed').textContent()).toMatch(/^~changed total: \d+ → \d+/);
    const slider = page.getByRole('slider');
    await slider.focus();
    await page.keyboard.press('ArrowRight');
    await page.getByRole('heading', { name: 'Document after event 7' }).waitFor();
    await until('the address has the step', () => page.url().endsWith('step=7'));
    await page.keyboard.press('End');
    await page.getByRole('heading', { name: 'Document after event 10' }).waitFor();
    await page.keyboard.press('Home');
    await page.getByRole('heading', { name: 'Document after event 1', exact: true }).waitFor();
    expect(await page.getByText('This event made the document').count()).toBe(1);
    await page.getByRole('button', { name: 'One event on' }).click();
    await page.getByRole('heading', { name: 'Document after event 2' }).waitFor();
    expect(await page.locator('.changes').textContent()).toContain('added');
    expect(faults).toEqual([]);
  });

  test('shows the stored document where the code is not known, and says how to get the slider', async (context) => {
    skipWithoutBrowser(context);
    const { open, world } = scene();
    const served = await world.serve({ hasCode: false });
    const { page } = await open(`#/documents?projection=orders%401&key=${ORDER}`, served);
    await page.getByText('millrace ui --app').waitFor();
    expect(await page.locator('.json').textContent()).toContain('status: "shipped"');
    expect(await page.getByRole('slider').count()).toBe(0);
  });
});

describe('where nothing is, or something fails', () => {
  test.for([
    ['#/nowhere', 'There is no such view.'],
    ['#/event?stream=orders:none&version=1', 'Expected an event there, found none'],
    ['#/events?category=none', 'No events fit.'],
    ['#/events?stream=nonsense', 'Try again'],
    ['#/documents?projection=orders%401&startsWith=none', 'No document fits.'],
    ['#/documents?projection=orders%401&key=none', 'No event of this document was found.'],
    ['#/processors?open=none%401', 'There is no none@1 here.'],
    ['#/dead-letters?reactor=fulfilment%401', 'fulfilment@1 gave up on nothing.'],
    ['#/compare?first=none%401&second=balances%401', 'Expected the code of none@1'],
  ])('at %s it says so in words', async ([hash = '', words = ''], context) => {
    skipWithoutBrowser(context);
    const { page } = await scene().open(hash);
    await page.getByText(words).first().waitFor();
  });
});
