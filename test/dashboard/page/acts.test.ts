// What the page does to processors and dead letters, each action on a real store, and none of them where it may only look.
import { inspect, ProcessorControl } from 'millrace';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { until } from '../../support/processors.ts';
import { balances, balances2, payments } from '../../workers/page-app.ts';
import { sceneOfFile, skipWithoutBrowser } from './world.ts';

const scene = sceneOfFile();

async function factsOf(name: string, version = 1) {
  const facts = await inspect(scene().world.store).processors();
  return facts.find((each) => each.name === name && each.version === version);
}

/** Fills in what a question asks for, and says yes. */
async function confirm(page: Page, typed: string | undefined, verb: string): Promise<void> {
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  const yes = dialog.getByRole('button', { name: verb, exact: true });
  if (typed !== undefined) {
    expect(await yes.isDisabled()).toBe(true);
    await dialog.getByRole('textbox').fill(typed);
  }
  await yes.click();
  await dialog.waitFor({ state: 'detached' });
}

describe('processors', () => {
  test('are paused and go on', async (context) => {
    skipWithoutBrowser(context);
    const { page, faults } = await scene().open('#/processors?open=balances%401');
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('balances@1 is paused.', { exact: true }).waitFor();
    expect((await factsOf('balances'))?.isPaused).toBe(true);
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByText('balances@1 goes on.').waitFor();
    expect((await factsOf('balances'))?.isPaused).toBe(false);
    expect(faults).toEqual([]);
  });

  test('are rewound once their name is typed, and fold anew', async (context) => {
    skipWithoutBrowser(context);
    const { page } = await scene().open('#/processors?open=balances%402');
    await page.getByRole('button', { name: 'Rewind …' }).click();
    await confirm(page, 'balances@2', 'Rewind');
    await page.getByText('balances@2 is rewound.').waitFor();
    await until('it has folded everything again', async () => {
      const facts = await factsOf('balances', 2);
      return facts?.lagEvents === 0 && facts.unfinished === undefined;
    });
  });

  test('that are reactors are rewound to a time, and handle again what is behind that', async (context) => {
    skipWithoutBrowser(context);
    const { page } = await scene().open('#/processors?open=receipts%401');
    await page.getByRole('button', { name: 'Rewind …' }).click();
    await page.getByRole('dialog').getByRole('combobox').selectOption('time');
    await page.getByLabel('Which time').fill('2026-01-01T00:00:00');
    await page.getByRole('dialog').getByRole('textbox', { name: 'Type receipts@1 to go on' }).fill('receipts@1');
    await page.getByRole('dialog').getByRole('button', { name: 'Rewind', exact: true }).click();
    await page.getByText('receipts@1 is rewound.').waitFor();
    await until('it has handled everything again', async () => {
      const facts = await factsOf('receipts');
      return facts?.lagEvents === 0 && facts.unfinished === undefined;
    });
  });

  test('are compared, and readers flipped from one version to the other', async (context) => {
    skipWithoutBrowser(context);
    const { page } = await scene().open('#/processors?open=balances%402');
    await page.getByRole('link', { name: 'Compare with balances@1' }).click();
    await page.getByText('12 documents differ.').waitFor();
    expect(await page.locator('.changes').first().textContent()).toMatch(/added requested \d+/);
    await page.goBack();
    await page.getByRole('button', { name: 'Flip readers to it …' }).click();
    await confirm(page, undefined, 'Flip');
    await page.getByText('Readers of balances get version 2', { exact: false }).first().waitFor();
    expect(await new ProcessorControl(scene().world.store).servingVersion(balances2.name)).toBe(2);
  });

  test('are refused to be dropped while somebody runs or reads them, in the words of the server; and dropped afterwards', async (context) => {
    skipWithoutBrowser(context);
    const { open, world } = scene();
    await new ProcessorControl(world.store).serve(balances2);
    const { page } = await open('#/processors?open=balances%402');
    await page.getByRole('button', { name: 'Drop …' }).click();
    await confirm(page, 'balances@2', 'Drop for good');
    await page.getByText(/Version 2 of projection balances serves/).waitFor();
    await page.goto(page.url().replace('%402', '%401'));
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('balances@1 is paused.', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Drop …' }).click();
    await confirm(page, 'balances@1', 'Drop for good');
    await page.getByText('balances@1 is dropped.').waitFor();
    expect(await inspect(world.store).document(balances, 'card-1')).toBeUndefined();
  });
});

describe('dead letters', () => {
  test('are tried again with what was edited, and JSON that is none is told with its place', async (context) => {
    skipWithoutBrowser(context);
    const { open, world } = scene();
    const letters = new ProcessorControl(world.store).deadLetters({ name: 'receipts' });
    const before = await letters.count();
    const { page, faults } = await open('#/dead-letters?reactor=receipts%401');
    await page.getByRole('link', { name: 'PaymentReceived' }).first().click();
    await page.getByRole('button', { name: 'Edit it first' }).click();
    const area = page.getByRole('textbox');
    await area.fill('{\n  "type": nonsense\n}');
    await page.getByRole('button', { name: 'Try it again with this' }).click();
    await page.getByText(/This is no JSON at line 2, column \d+/).waitFor();
    await area.fill('{ "type": "PaymentReceived", "data": { "amount": 5, "card": "mended" } }');
    await page.getByRole('button', { name: 'Try it again with this' }).click();
    await page.getByText('Asked that it be tried again.', { exact: false }).waitFor();
    await until('it is handled', async () => (await letters.count()) === before - 1);
    expect(faults).toEqual([]);
  });

  test('are tried again, those that are chosen', async (context) => {
    skipWithoutBrowser(context);
    const { open, world } = scene();
    const letters = new ProcessorControl(world.store).deadLetters({ name: 'receipts' });
    const { page } = await open('#/dead-letters?reactor=receipts%401');
    await page.getByRole('checkbox').first().check();
    await page.getByRole('button', { name: 'Try 1 letter again' }).click();
    await page.getByText('Asked that 1 letter be tried again.', { exact: false }).waitFor();
    await until('it has failed again', async () => {
      for await (const { retries } of letters.list()) if (retries === 1) return true;
      return false;
    });
  });

  test('are discarded, all of them, once that is typed', async (context) => {
    skipWithoutBrowser(context);
    const { open, world } = scene();
    const letters = new ProcessorControl(world.store).deadLetters({ name: 'receipts' });
    const { page } = await open('#/dead-letters?reactor=receipts%401');
    await page.getByRole('button', { name: /Discard (all \d+ letters|the only letter) …/ }).click();
    await confirm(page, 'discard all', 'Discard');
    await page.getByText(/Discarded \d+ letters?\./).waitFor();
    await page.getByText('receipts@1 gave up on nothing.').waitFor();
    expect(await letters.count()).toBe(0);
  });
});

describe('a page that may only look', () => {
  test('has no action, and says how to be allowed', async (context) => {
    skipWithoutBrowser(context);
    const { open, world } = scene();
    await world.store.append(payments.stream('late'), { type: 'PaymentReceived', data: { amount: -1, card: '' } });
    const served = await world.serve({ allowWrites: false });
    const { page } = await open('#/processors?open=orders%401', served);
    await page.getByText('millrace ui --allow-writes').waitFor();
    await page.getByRole('heading', { name: 'Projection orders@1' }).waitFor();
    expect(await page.getByRole('button', { name: /Pause|Rewind|Drop|Flip/ }).count()).toBe(0);
    await page.goto(page.url().replace(/#.*/, '#/dead-letters?reactor=receipts%401'));
    await page.getByRole('link', { name: 'PaymentReceived' }).first().click();
    await page.getByText('no receipt for a payment of -1').first().waitFor();
    expect(await page.getByRole('button', { name: /again|Edit|Discard/ }).count()).toBe(0);
    const status = await page.evaluate(async () => {
      const headers = { 'content-type': 'application/json', 'x-millrace': 'page' };
      return (await fetch('/api/pause', { method: 'POST', headers, body: '{"target":"orders@1"}' })).status;
    });
    expect(status).toBe(403);
  });
});
