import type { ConsolePage } from './browser.ts';
import { until } from './wait.ts';

/** A database as a person types it in. */
export type TypedSide = {
  readonly host: string;
  readonly port: string;
  readonly database: string;
  readonly user: string;
  readonly password: string;
};

export const typedSide = (url: string, password: string): TypedSide => {
  const { hostname, port, pathname, username } = new URL(url);
  return { host: hostname, port, database: pathname.slice(1), user: decodeURIComponent(username), password };
};

type TaskName = 'Forward task' | 'Reverse task';
type Looks = { readonly look?: (name: string) => Promise<void> };

/** First step: both databases. Ends on the page that says how they answered. */
export async function connectBoth(
  { page }: ConsolePage,
  { name, sides }: { name: string; sides: Readonly<Record<'a' | 'b', TypedSide>> },
): Promise<void> {
  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'New pair' }).click();
  await page.getByRole('heading', { name: 'New pair', level: 1 }).waitFor();
  for (const side of ['a', 'b'] as const) {
    const { host, port, database, user, password } = sides[side];
    const group = page.getByRole('group', { name: `Side ${side}` });
    await group.getByLabel('Host').fill(host);
    await group.getByLabel('Port').fill(port);
    await group.getByLabel('Database').fill(database);
    await group.getByLabel('User').fill(user);
    await group.getByLabel('TLS').selectOption('disable');
    await group.getByLabel(`Password of side ${side}`).fill(password);
  }
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Shards').fill('1');
  await page.getByRole('button', { name: 'Connect and continue' }).click();
}

/** Waits until both have answered, and goes on to the objects. */
export async function seeBothConnected({ page }: ConsolePage, { look }: Looks = {}): Promise<void> {
  await page.getByRole('heading', { name: 'Connect', level: 1 }).waitFor();
  await page.getByText('Connected', { exact: true }).nth(1).waitFor();
  await look?.('setup-connect');
  await page.getByRole('button', { name: 'Choose the objects' }).click();
  await page.getByRole('heading', { name: 'Choose the objects', level: 1 }).waitFor();
}

/** On from the objects that were chosen. */
export async function toSettings({ page }: ConsolePage): Promise<void> {
  await page.getByRole('button', { name: 'Continue to the settings' }).click();
  await page.getByRole('heading', { name: 'Settings', level: 1 }).waitFor();
}

type Started = Looks & {
  /** One that the precheck looks at. */
  readonly task: TaskName;
  /** What the request begins with that is shown before the start. */
  readonly request: RegExp;
  /** Done with what the precheck shows, before it must be ready. */
  readonly mend?: () => Promise<void>;
};

/**
 * Saves, checks, ignores what may be ignored, looks at the request, and starts. Ends on the pair's page.
 */
export async function checkAndStart(
  { page }: ConsolePage,
  { look, task, request, mend }: Started,
): Promise<void> {
  await page.getByRole('button', { name: 'Save and check' }).click();
  await page.getByRole('heading', { name: 'Precheck', level: 1 }).waitFor();
  await page.getByRole('heading', { name: new RegExp(`^${task}`), level: 2 }).waitFor();
  await look?.('setup-precheck');
  await mend?.();
  const ignore = page.getByRole('button', { name: 'Ignore all alerts' });
  const on = page.getByRole('button', { name: 'Review and start' });
  await until('the precheck to be ready', async () => {
    if (await ignore.isVisible()) await ignore.click();
    return on.isEnabled();
  });
  await on.click();
  await page.getByRole('heading', { name: 'Review and start', level: 1 }).waitFor();
  await page.getByRole('heading', { name: 'The request' }).waitFor();
  await page.getByText(request).waitFor();
  await look?.('setup-start');
  const start = page.getByRole('button', { name: 'Start…' });
  await until('the start to be offered', () => start.isEnabled());
  await start.click();
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  await look?.('setup-confirm');
  await dialog.getByRole('button', { name: 'Start now' }).click();
  await page.getByRole('heading', { name: 'Forward task', level: 2 }).waitFor();
}

/** Waits on the pair's page until these tasks are `Running`, as the page itself says. */
export async function seeRunning(
  { page }: ConsolePage,
  tasks: readonly TaskName[],
  timeout = 90_000,
): Promise<void> {
  for (const name of tasks)
    await page.getByRole('region', { name }).getByText('Running', { exact: true }).waitFor({ timeout });
}

/** The pair that the address of the page names. */
export const pairOf = ({ page }: ConsolePage): string => {
  const found = /#\/pairs\/([a-z0-9]+)/.exec(page.url())?.[1];
  if (!found) throw new Error(`The page ${page.url()} is of no pair.`);
  return found;
};
