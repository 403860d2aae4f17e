import { afterAll, beforeAll, expect, test } from 'vitest';
import { requestOf } from '../../functions/api/console/app/setup/draft.ts';
import { mirrorNotes } from '../../functions/api/console/app/setup/mirror.ts';
import { startMonitor } from '../../infra/local/monitor.ts';
import { openTable } from '../../shared/aws/table.ts';
import { openApiClient } from '../../shared/client/client.ts';
import { addToHistory } from '../../shared/task/history.ts';
import { type ConsolePage, openBrowser, openConsole } from '../support/browser.ts';
import {
  checkAndStart,
  connectBoth,
  pairOf,
  seeBothConnected,
  seeRunning,
  toSettings,
  typedSide,
} from '../support/console-procedure.ts';
import { openDatabase, type TestDatabase } from '../support/database.ts';
import { differences } from '../support/tables.ts';
import { openPlatform, type TestPlatform } from '../support/twin.ts';
import { until } from '../support/wait.ts';

const tokens = { admin: 'token-of-an-administrator', viewer: 'token-of-one-who-looks' };
let platform: TestPlatform;
let browser: Awaited<ReturnType<typeof openBrowser>>;
let monitor: ReturnType<typeof startMonitor>;
beforeAll(async () => {
  const apiTokens = `anna:admin:${tokens.admin},vera:viewer:${tokens.viewer}`;
  [platform, browser] = await Promise.all([openPlatform({ console: true, apiTokens }), openBrowser()]);
  monitor = startMonitor({ env: platform.platform.env, onLine: () => {} });
});
afterAll(async () => {
  await monitor?.stop();
  await browser?.[Symbol.asyncDispose]();
  await platform?.[Symbol.asyncDispose]();
});

const schema = /* sql */ `
  create schema shop;
  create table shop.customer (id int primary key, name text, city text);
  create table shop.orders (id int primary key, customer int, total numeric(10, 2));
  create table shop.visit (at timestamptz, page text);
  create table shop.log_entry (id int primary key, line text);
  create table public.note (id int primary key, t text);
  insert into shop.customer select g, 'customer ' || g, 'Bern' from generate_series(1, 2000) g;
  insert into shop.orders select g, g % 2000, g / 3.0 from generate_series(1, 8000) g;`;

type Sides = Readonly<Record<'a' | 'b', TestDatabase>>;

test('the whole procedure in a browser, a conflict that stops a task, until the pair is gone', {
  timeout: 240_000,
}, async () => {
  await using a = await openDatabase('a', { schema, mustEndClean: true });
  await using b = await openDatabase('b', { mustEndClean: true });
  await using shown = await openConsole(browser, platform.platform.apiUrl);
  const { page, look } = shown;
  const sides = { a, b };

  await signIn(shown);
  await connect(shown, sides);
  await seeBothConnected(shown, { look });
  await choose(shown);
  await toSettings(shown);
  await settings(shown);
  await checkAndStart(shown, {
    look,
    task: 'Reverse task',
    request: /^POST .*[/]configure/,
    mend: () => mendKeys(shown, a),
  });
  await seeRunning(shown, ['Forward task', 'Reverse task']);
  const pair = pairOf(shown);

  // Written on one side, seen on the other, in both directions; what was not chosen stays where it is.
  await a.query(
    `update shop.customer set city = 'Basel' where id = 7; insert into shop.log_entry values (1, 'a')`,
  );
  await b.query(`insert into shop.orders values (90001, 7, 12.50)`);
  await until('both sides to be equal', async (saw) => {
    const found = await differences(a, b, ['shop.customer', 'shop.orders']);
    saw(found);
    return found.length === 0;
  });
  expect(await b.rows(`select city from shop.customer where id = 7`)).toEqual([{ city: 'Basel' }]);
  expect(await a.rows(`select total::text from shop.orders where id = 90001`)).toEqual([{ total: '12.50' }]);
  await page
    .getByText(/now \d/)
    .first()
    .waitFor();
  await look('pair-running');
  await lookAround(shown, pair);

  await verify(shown, pair);
  await stopByConflict(shown, pair, sides);
  await decide(shown, pair);
  await seeRunning(shown, ['Forward task', 'Reverse task']);
  await until('the choice to be carried out', async () => {
    const rows = await Promise.all(
      [a, b].map((side) => side.rows(`select name from shop.customer where id = 3`)),
    );
    return rows.flat().every(({ name }) => name === 'from a');
  });

  await removePair(shown, pair);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  expect(await page.evaluate('JSON.stringify(sessionStorage) + document.cookie')).toBe('{}');
  shown.assertClean();
});

async function signIn(shown: ConsolePage): Promise<void> {
  const { page, look } = shown;
  await page.goto(`${platform.platform.apiUrl}/console`);
  await look('sign-in');
  await page.getByLabel('API token').fill('not-the-token-of-this-service');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('This is not a token of this service.').waitFor();
  await shown.signIn(tokens.admin);
  await page.getByText('Signed in as anna, admin').waitFor();
  await page.getByText('There is no pair yet').waitFor();
  await look('pairs-empty');
}

/** With a wrong password first: the API names the field, and its message stands at the input. */
async function connect(shown: ConsolePage, { a, b }: Sides): Promise<void> {
  const { page, look } = shown;
  const typed = { a: typedSide(a.url, a.password), b: typedSide(b.url, b.password) };
  await connectBoth(shown, { name: 'Shop', sides: { ...typed, b: { ...typed.b, password: 'wrong' } } });
  const password = page.getByLabel('Password of side b');
  await until('the field to be marked', async () => (await password.getAttribute('aria-invalid')) === 'true');
  await look('setup-new-refused');
  await password.fill(b.password);
  await page.getByRole('button', { name: 'Connect and continue' }).click();
}

/** One schema but for one table; the reverse task is not decided silently. */
async function choose(shown: ConsolePage): Promise<void> {
  const { page, look } = shown;
  await page.getByText('5 tables of 5 selected').waitFor();
  await page.getByLabel('Everything').uncheck();
  await page.getByLabel('All tables of the schema shop').check();
  await page.getByLabel('Search the tables').fill('log');
  await page.getByLabel('log_entry').uncheck();
  await page.getByLabel('Search the tables').fill('');
  await page.getByText('3 tables of 5 selected').waitFor();
  await mapNames(shown);
  await page.getByRole('button', { name: 'Continue to the settings' }).click();
  await page.getByText('Choose what the reverse task does.').waitFor();
  await page.getByLabel('The same tables').check();
  await look('setup-objects');
}

/** A rule of names, and what it comes to; then it is taken back. */
async function mapNames({ page, look }: ConsolePage): Promise<void> {
  await page.getByText('Columns, names, conditions and steps').click();
  const rules = page.getByRole('group', { name: 'Rules' });
  await rules.getByRole('button', { name: 'Add' }).click();
  await rules.getByLabel('Level').selectOption('table');
  await rules.getByLabel('Prefix').fill('old_');
  await page.getByText('Preview of the names on the destination').click();
  await page.getByRole('row', { name: 'shop.orders shop.old_orders' }).waitFor();
  await look('setup-names');
  await rules.getByRole('button', { name: 'Remove' }).click();
  await page.getByText('Preview of the names on the destination').click();
}

/** A wrong number is refused by the API, and its message stands at the input. */
async function settings(shown: ConsolePage): Promise<void> {
  const { page, look } = shown;
  await page.getByLabel('Conflict policy', { exact: true }).selectOption('task-failed');
  const policies = page.getByRole('group', { name: 'Policies of single tables' });
  await policies.getByRole('button', { name: 'Add' }).click();
  await policies.getByLabel('Schema').fill('shop');
  await policies.getByLabel('Table', { exact: true }).fill('orders');
  await policies.getByLabel('Conflict policy').selectOption('ignore');
  await page.getByText('Retries and WAL').click();
  const minutes = page.getByLabel('Retry other errors for');
  await minutes.fill('1000');
  await page.getByRole('button', { name: 'Save and check' }).click();
  await until('the field to be marked', async () => (await minutes.getAttribute('aria-invalid')) === 'true');
  await look('setup-settings');
  await minutes.fill('5');
}

/** The SQL that the precheck prints is run as it stands; then only that item is checked again. */
async function mendKeys({ page }: ConsolePage, a: TestDatabase): Promise<void> {
  const item = page
    .getByRole('region', { name: 'Forward task, a to b' })
    .getByRole('listitem')
    .filter({ has: page.getByRole('heading', { name: 'Every table has a key that names its rows' }) });
  await item.getByText('Failed', { exact: true }).waitFor();
  await a.query((await item.getByRole('region', { name: 'SQL 1 for keys' }).textContent()) ?? '');
  await item.getByRole('button', { name: 'Check again: keys' }).click();
  await item.waitFor({ state: 'hidden' });
}

/** Every tab of a task that runs, by keyboard from one to the next. */
async function lookAround({ page, look, visit }: ConsolePage, pair: string): Promise<void> {
  // What was before this tab was opened.
  const table = openTable('pgtwin', {
    endpoint: platform.platform.env['AWS_ENDPOINT_URL_DYNAMODB']!,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  await addToHistory(table, `${pair}_f`, new Date(Date.now() - 7_200_000), {
    ...{ latencySeconds: 4000, rowsPerSecond: 123, bytesPerSecond: 0 },
  });
  await visit(`pairs/${pair}/forward`);
  await page.getByText(/highest in 24 hours 1 h 6 min/).waitFor();
  await page.getByRole('heading', { name: 'Full copy by table' }).waitFor();
  await page.getByRole('row', { name: /shop.orders Done/ }).waitFor();
  await look('task-overview');
  const tabs = page.getByRole('navigation', { name: 'Forward task' });
  const waits = {
    Conflicts: () => page.getByText('No conflicts').waitFor(),
    Events: () =>
      page
        .getByRole('row', { name: /Initializing/ })
        .first()
        .waitFor(),
    Precheck: () => page.getByText('Ready to start').waitFor(),
    Limits: () => page.getByLabel('Queries per second').waitFor(),
    Configuration: () => page.getByText('"conflictPolicy": "ignore"').waitFor(),
  };
  for (const [name, wait] of Object.entries(waits)) {
    await tabs.getByRole('link', { name }).focus();
    await page.keyboard.press('Enter');
    await wait();
    const heading = page.getByRole('heading', { level: 1 });
    await until('the heading to have the focus', async () =>
      heading.evaluate((e) => e === e.ownerDocument.activeElement),
    );
    await look(`task-${name.toLowerCase()}`);
  }
  // A limit is changed while the task runs.
  await visit(`pairs/${pair}/forward/limits`);
  const limits = page.getByRole('group', { name: 'Changes' }).getByLabel('Rows per second');
  await limits.fill('0');
  await page.getByRole('button', { name: 'Change the limits' }).click();
  await until('the field to be marked', async () => (await limits.getAttribute('aria-invalid')) === 'true');
  await limits.fill('50000');
  await page.getByRole('button', { name: 'Change the limits' }).click();
  await page.getByText('The limits were changed.').first().waitFor();
  await visit('');
  await page.getByRole('row', { name: /Shop/ }).waitFor();
  await look('pairs');
}

/** Compares both sides, and looks at what a cut-over would do. */
async function verify({ page, look, visit }: ConsolePage, pair: string): Promise<void> {
  await visit(`pairs/${pair}`);
  await page.getByRole('link', { name: 'Verification' }).click();
  await page.getByText('Nothing was verified yet').waitFor();
  await page.getByRole('button', { name: 'Verify now' }).click();
  await page.getByText('Both sides are equal').waitFor({ timeout: 60_000 });
  await page.getByRole('row', { name: /shop.orders both/ }).waitFor();
  await look('verification');
  await visit(`pairs/${pair}/verification`);
  await page.getByRole('row', { name: /Finished/ }).waitFor();
  await look('verifications');
  await visit(`pairs/${pair}/cutover`);
  await page.getByText('Ready', { exact: true }).waitFor();
  await look('cut-over');
}

/** Both sides write one row while the forward task is paused by the page's own buttons. */
async function stopByConflict(
  { page, look, visit }: ConsolePage,
  pair: string,
  { a, b }: Sides,
): Promise<void> {
  await visit(`pairs/${pair}`);
  const forward = page.getByRole('region', { name: 'Forward task' });
  await forward.getByRole('button', { name: 'Pause the forward task' }).click();
  await page.getByRole('dialog').getByText('the slot keeps WAL').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
  await forward.getByText('Paused', { exact: true }).waitFor();
  await a.query(`update shop.customer set name = 'from a' where id = 3`);
  await b.query(`update shop.customer set name = 'from b' where id = 3`);
  await forward.getByRole('button', { name: 'Resume the forward task' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
  await forward.getByText('Failed', { exact: true }).waitFor({ timeout: 60_000 });
  await look('pair-failed');
}

async function decide({ page, look, visit }: ConsolePage, pair: string): Promise<void> {
  await visit(`pairs/${pair}/forward/conflicts`);
  await page.getByLabel('Table', { exact: true }).fill('orders');
  await page.getByText('No conflict fits the filter').waitFor();
  await page.getByLabel('Table', { exact: true }).fill('customer');
  await page.getByLabel('Result').selectOption('stopped');
  await page.getByRole('row', { name: /shop.customer/ }).waitFor();
  await look('conflicts');
  await page
    .getByRole('row', { name: /shop.customer/ })
    .getByRole('link')
    .click();
  await page.getByRole('row', { name: /name differs from a from b/ }).waitFor();
  await look('conflict');
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: "Take the source's version" }).click();
  await dialog.getByRole('button', { name: 'Take the source' }).click();
  await page.getByText("Chosen: the source's version").waitFor();
  await look('conflict-chosen');
  await page.getByRole('button', { name: 'Retry the task' }).click();
  await dialog.getByRole('button', { name: 'Retry' }).click();
  await page.getByRole('heading', { name: /Forward task/ }).waitFor();
  await visit(`pairs/${pair}`);
}

/** Cancelled by Escape first, which gives the focus back to the button that asked. */
async function removePair({ page, look }: ConsolePage, pair: string): Promise<void> {
  const ask = page.getByRole('button', { name: 'Delete pair…' });
  const dialog = page.getByRole('dialog');
  await ask.click();
  await dialog.waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  // It comes back a moment after the dialog has gone.
  await until('the focus to be back', async () => ask.evaluate((e) => e === e.ownerDocument.activeElement));
  await ask.click();
  await look('pair-delete');
  await dialog.getByRole('button', { name: 'Release both tasks and delete' }).click();
  await page.getByText('The pair is being deleted').waitFor();
  await until(
    'the pair to be gone',
    async () =>
      page
        .getByText(`There is no pair ${pair}`)
        .isVisible()
        .catch(() => false),
    {
      timeoutMs: 60_000,
    },
  );
  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Pairs' }).click();
  await page.getByText('There is no pair yet').waitFor();
}

test('a viewer is offered nothing that would be refused; what somebody else has changed meanwhile is not overwritten', async () => {
  await using a = await openDatabase('a', { schema });
  await using b = await openDatabase('b');
  const api = openApiClient({ url: platform.platform.apiUrl, token: tokens.admin });
  const sides = { a: { url: a.url, tls: 'disable' as const }, b: { url: b.url, tls: 'disable' as const } };
  const { id } = await api.createPair({ name: 'shared', sides });
  const objects = { include: [{ schema: 'shop', table: 'customer' }] };
  await api.configureTask(id, 'forward', { objects, retryOtherMinutes: 3 });
  {
    await using shown = await openConsole(browser, platform.platform.apiUrl);
    const { page, look, visit } = shown;
    await shown.signIn(tokens.admin);
    await visit(`pairs/${id}/setup/settings`);
    await page.getByText('Retries and WAL').click();
    const minutes = page.getByLabel('Retry other errors for');
    await minutes.fill('4');
    await api.configureTask(id, 'forward', { objects, retryOtherMinutes: 5 });
    await page.getByRole('button', { name: 'Save and check' }).click();
    await page.getByText('This has changed meanwhile').waitFor();
    await page.getByText('Forward task, retryOtherMinutes: 5, was 3').waitFor();
    await look('setup-changed-meanwhile');
    expect((await api.getTask(id, 'forward')).config?.retryOtherMinutes).toBe(5);
    await page.getByRole('button', { name: 'Drop my changes and load what is stored' }).click();
    await until('what is stored', async () => (await minutes.inputValue()) === '5');
    // The form was made anew, with its groups closed.
    if (!(await minutes.isVisible())) await page.getByText('Retries and WAL').click();
    await minutes.fill('6');
    await page.getByRole('button', { name: 'Save and check' }).click();
    await page.getByRole('heading', { name: 'Precheck', level: 1 }).waitFor();
    expect((await api.getTask(id, 'forward')).config?.retryOtherMinutes).toBe(6);
    // A precheck is no change of the configuration: once it has run, it can be saved again.
    await page.getByRole('region', { name: 'Forward task, a to b' }).waitFor();
    await visit(`pairs/${id}/setup/settings`);
    await page.getByRole('button', { name: 'Save and check' }).click();
    await page.getByRole('heading', { name: 'Precheck', level: 1 }).waitFor();
    shown.assertClean();
  }
  {
    await using shown = await openConsole(browser, platform.platform.apiUrl);
    const { page, look, visit } = shown;
    await shown.signIn(tokens.viewer);
    await page.getByText('Signed in as vera, viewer').waitFor();
    await page.getByRole('row', { name: /shared/ }).waitFor();
    const actions = page.getByRole('button', { name: /pair|start|release|restart|run|change|verify/i });
    const links = page.getByRole('link', { name: /new pair|set up|setup|cut-over/i });
    for (const place of ['', `pairs/${id}`, `pairs/${id}/forward`, `pairs/${id}/forward/precheck`]) {
      await visit(place);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page
        .getByText(place === '' ? 'shared' : /Forward task/)
        .first()
        .waitFor();
      expect([await actions.count(), await links.count()], place).toEqual([0, 0]);
    }
    await look('pair-of-a-viewer');
    // The tab is loaded again: it asks anew whose token it has.
    await page.reload();
    await page.getByText('Signed in as vera, viewer').waitFor();
    shown.assertClean();
  }
  await api.deletePair(id);
});

test('what mirrors a task with other names on the destination leads exactly back', async () => {
  await using a = await openDatabase('a', { schema });
  await using b = await openDatabase('b');
  const api = openApiClient({ url: platform.platform.apiUrl, token: tokens.admin });
  const sides = { a: { url: a.url, tls: 'disable' as const }, b: { url: b.url, tls: 'disable' as const } };
  const { id } = await api.createPair({ name: 'mapped', sides });
  const objects = {
    include: [
      { schema: 'shop', table: 'customer' },
      { schema: 'shop', table: 'orders' },
    ],
    columns: [{ schema: 'shop', table: 'customer', exclude: ['city'] }],
    mapping: {
      rules: [{ level: 'table', prefix: 'old_' }],
      names: [{ schema: 'shop', table: 'orders', column: 'total', to: 'sum' }],
    },
    etl: [],
  };
  expect(mirrorNotes(objects)).toEqual([expect.stringMatching(/Names are led exactly back/)]);
  const draft = {
    forward: { objects },
    reverse: { objects },
    reverseObjects: 'same',
    sameSettings: true,
  } as const;
  const request = await requestOf(api, id, draft);
  expect(request.reverse?.objects).toMatchObject({
    include: [
      { schema: 'shop', table: 'old_customer' },
      { schema: 'shop', table: 'old_orders' },
    ],
    columns: [
      { schema: 'shop', table: 'old_customer', include: ['id', 'name'] },
      { schema: 'shop', table: 'old_orders', include: ['id', 'customer', 'sum'] },
    ],
  });
  await api.configureBoth(id, request);
  const reports = await api.precheckBoth(id, { ignoreAlerts: true });
  for (const direction of ['forward', 'reverse'] as const) {
    const open = reports[direction]?.items.filter(({ status }) => status !== 'passed') ?? [];
    expect(open.map(({ item, cause }) => `${item}: ${cause}`)).toEqual([]);
  }
  await api.deletePair(id);
});
