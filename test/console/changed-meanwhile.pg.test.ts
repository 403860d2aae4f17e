import { afterAll, beforeAll, expect, test } from 'vitest';
import { startMonitor } from '../../infra/local/monitor.ts';
import { type ApiClient, openApiClient } from '../../shared/client/client.ts';
import { type ConsolePage, openBrowser, openConsole } from '../support/browser.ts';
import { openPlatform, openTwin, type TestPlatform, type Twin } from '../support/twin.ts';
import { until } from '../support/wait.ts';

let on: TestPlatform;
let browser: Awaited<ReturnType<typeof openBrowser>>;
let monitor: ReturnType<typeof startMonitor>;
beforeAll(async () => {
  [on, browser] = await Promise.all([openPlatform({ console: true }), openBrowser()]);
  monitor = startMonitor({ env: on.platform.env, everyMs: 3_000, onLine: () => {} });
});
afterAll(async () => {
  await monitor?.stop();
  await browser?.close();
  await on?.[Symbol.asyncDispose]();
});

const schema = /* sql */ `
  create table item (id int primary key, n int not null);
  insert into item select g, 0 from generate_series(1, 10) g`;

/** A pair that runs, a tab of its own, and somebody else. */
type Scene = { readonly twin: Twin; readonly shown: ConsolePage; readonly other: ApiClient };

async function scene(twin: Twin): Promise<Scene & AsyncDisposable> {
  const { apiUrl, env } = on.platform;
  const token = env['PGTWIN_API_TOKENS']!.split(':')[2]!;
  const shown = await openConsole(browser, apiUrl);
  await shown.signIn(token);
  const other = openApiClient({ url: apiUrl, token });
  return { twin, shown, other, [Symbol.asyncDispose]: () => shown[Symbol.asyncDispose]() };
}

let rows = 1000;
/** Somebody else changes the forward task, and is told of. */
async function changeOther({ twin, other }: Scene): Promise<number> {
  rows += 1;
  await other.changeLimits(twin.pair, 'forward', { full: { rowsPerSecond: rows } });
  return rows;
}
const seeChange = async ({ shown: { page } }: Scene, limit: number): Promise<void> => {
  await page.getByText('This has changed meanwhile').waitFor();
  await page
    .getByText(`Forward task: limits changed: {"full":{"rowsPerSecond":${limit}}} (by test`)
    .waitFor();
};

/** Asks by `ask`, is told what has changed before the answer, and confirms again. */
async function insist(on: Scene, ask: string, confirm: string, untouched: () => Promise<unknown>) {
  const { page, look } = on.shown;
  await page.getByRole('button', { name: ask }).click();
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  const limit = await changeOther(on);
  const button = dialog.getByRole('button', { name: confirm, exact: true });
  await button.click();
  await seeChange(on, limit);
  await look(`changed-${confirm.toLowerCase().replaceAll(' ', '-')}`);
  await untouched();
  await button.click();
  await dialog.waitFor({ state: 'detached' });
}

test('what a person asks for is done to what they were shown; else they are told what has changed', async () => {
  await using twin = await openTwin(on, { schema });
  await using at = await scene(twin);
  const { shown, other } = at;
  const { page, visit } = shown;
  const { pair } = twin;

  // Limits: a field that somebody else has changed stays as they have it.
  await visit(`pairs/${pair}/forward/limits`);
  await page.getByRole('group', { name: 'Changes' }).getByLabel('Rows per second').fill('50000');
  const limit = await changeOther(at);
  await page.getByRole('button', { name: 'Change the limits' }).click();
  await seeChange(at, limit);
  expect((await other.getLimits(pair, 'forward')).incremental.rowsPerSecond).toBeNull();
  await page.getByRole('button', { name: 'Change the limits' }).click();
  await page.getByText('The limits were changed.').first().waitFor();
  expect(await other.getLimits(pair, 'forward')).toMatchObject({
    full: { rowsPerSecond: limit },
    incremental: { rowsPerSecond: 50_000 },
  });

  await visit(`pairs/${pair}/cutover`);
  await page.getByText('Ready', { exact: true }).waitFor();
  await insist(at, 'Set the sequences…', 'Set them', async () => {
    const { events } = await other.getTask(pair, 'forward');
    expect(events.filter(({ input }) => input === 'cutover')).toEqual([]);
  });
  await page.getByText('The application can move.').waitFor();

  // A verification is for the pair as it is on the page: somebody comes between the click and the service.
  await visit(`pairs/${pair}/verification`);
  await page.getByText('Nothing was verified yet').waitFor();
  let between = 0;
  await page.route('**/verifications', async (route) => {
    if (route.request().method() === 'POST' && between === 0) between = await changeOther(at);
    await route.continue();
  });
  await page.getByRole('button', { name: 'Verify now' }).click();
  await until('somebody to come between', async () => between > 0);
  await seeChange(at, between);
  expect((await other.listVerifications(pair)).verifications).toEqual([]);
  await page.getByRole('button', { name: 'Verify now' }).click();
  await page.getByText('Both sides are equal').waitFor({ timeout: 60_000 });

  await visit(`pairs/${pair}`);
  await insist(at, 'Pause the forward task', 'Pause', async () => {
    expect((await other.getTask(pair, 'forward')).state).toBe('Running');
  });
  await twin.reach('forward', 'Paused');
  await twin.act('forward', 'resume');
  await twin.reach('forward', 'Running');

  await page.getByRole('button', { name: 'Delete pair…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  await twin.act('forward', 'pause');
  await dialog.getByRole('button', { name: 'Release both tasks and delete' }).click();
  await dialog.getByText(/Forward task: Running became Pausing: .* [(]by test/).waitFor();
  expect((await other.getPair(pair)).deleting).toBe(false);
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  shown.assertClean();
});

test('a conflict is resolved, and a run repaired, as they were shown', async () => {
  await using twin = await openTwin(on, { schema, forward: { conflictPolicy: 'task-failed' } });
  await using at = await scene(twin);
  const { shown, other } = at;
  const { page, visit } = shown;
  const { pair, a, b } = twin;

  // A row that differs, and nobody has seen it: what this side's capture takes for apply's own write never leaves it.
  await b.superuserRows(/* sql */ `
    begin;
    set local session_replication_role = replica;
    update pgtwin.apply_progress set applied_at = now() where task = '${pair}_f';
    update item set n = 7 where id = 7;
    commit`);
  const { id: run } = await other.startVerification(pair);
  await visit(`pairs/${pair}/verification/${run}`);
  await page.getByText('Both sides differ').waitFor({ timeout: 60_000 });
  await page.getByRole('button', { name: 'Repair: side b wins…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  await other.repairVerification(pair, run, { winner: 'a' });
  await dialog.getByRole('button', { name: 'Repair', exact: true }).click();
  await dialog.getByText(/A repair was asked for by test, .*: side a wins/).waitFor();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await until('side a to have won', async (saw) => {
    const found = await b.rows('select n from item where id = 7');
    saw(found);
    return found[0]?.['n'] === 0;
  });

  await twin.settle();
  await twin.act('forward', 'pause');
  await twin.reach('forward', 'Paused');
  await a.query('update item set n = 1 where id = 3');
  await b.query('update item set n = 2 where id = 3');
  await twin.act('forward', 'resume');
  await twin.reach('forward', 'Failed');
  const [conflict] = (await other.listConflicts(pair, 'forward', { result: 'stopped' })).conflicts;
  await visit(`pairs/${pair}/forward/conflicts/${conflict!.id}`);
  await insist(at, "Take the source's version…", 'Take the source', async () => {
    expect((await other.getConflict(pair, 'forward', conflict!.id)).choice).toBeUndefined();
  });
  await page.getByText("Chosen: the source's version").waitFor();
  // Somebody else chooses again meanwhile: that is not silently replaced.
  await page.getByRole('button', { name: "Keep the destination's version…" }).click();
  await dialog.waitFor();
  await other.resolveConflict(pair, 'forward', conflict!.id, 'source');
  await dialog.getByRole('button', { name: 'Keep the destination' }).click();
  await dialog.getByText(`conflict ${conflict!.id}: the source's version is chosen (by test`).waitFor();
  expect((await other.getConflict(pair, 'forward', conflict!.id)).choice?.take).toBe('source');
  await dialog.getByRole('button', { name: 'Keep the destination' }).click();
  await page.getByText("Chosen: the destination's version").waitFor();
  // What has changed is known by now.
  await page.getByRole('button', { name: 'Retry the task…' }).click();
  await dialog.getByRole('button', { name: 'Retry', exact: true }).click();
  await page.getByRole('heading', { name: /Forward task/ }).waitFor();
  await twin.reach('forward', 'Running');
  shown.assertClean();
});
