import { openBrowser, openConsole } from './browser.ts';
import {
  checkAndStart,
  connectBoth,
  pairOf,
  seeBothConnected,
  seeRunning,
  toSettings,
  typedSide,
} from './console-procedure.ts';
import { runCommand } from './run-command.ts';
import type { TestPlatform } from './twin.ts';
import { until } from './wait.ts';

/** Where the procedure is carried out, and on what. */
export type Place = {
  readonly apiUrl: string;
  readonly token: string;
  readonly call: TestPlatform['call'];
  /** Both databases as the tasks reach them, without their passwords. */
  readonly urls: Readonly<Record<'a' | 'b', string>>;
  readonly passwords: Readonly<Record<'a' | 'b', string>>;
};

/**
 * The reference's whole procedure, from a new pair to both tasks `Running`, one after the other: create, test, choose
 * the objects of the forward task, precheck, ignore, start; then the same for the reverse task. Gives the pair's id.
 */
export const procedures: Readonly<
  Record<'API' | 'command line' | 'console', (place: Place) => Promise<string>>
> = {
  API: byApi,
  'command line': byCommands,
  console: byConsole,
};
export const ways = Object.keys(procedures) as (keyof typeof procedures)[];

const objects = { include: [{ schema: 'public' }] };
const directions = ['forward', 'reverse'] as const;

async function byApi({ call, urls, passwords }: Place): Promise<string> {
  const side = (name: 'a' | 'b') => ({ url: `${urls[name]}?sslmode=disable`, password: passwords[name] });
  const { id } = await call<{ id: string }>('POST', '/v1/pairs', {
    name: 'by API',
    sides: { a: side('a'), b: side('b') },
  });
  for (const direction of directions) {
    const path = `/v1/pairs/${id}/tasks/${direction}`;
    const tested = await call<Record<string, { ok: boolean }>>('POST', `${path}/test-connectivity`);
    if (!Object.values(tested).every(({ ok }) => ok)) throw new Error(JSON.stringify(tested));
    await call('PUT', path, { objects });
    const report = await call<Report>('POST', `${path}/precheck`);
    for (const { item } of report.items.filter((each) => each.status !== 'passed'))
      await call('POST', `${path}/precheck/ignore`, { item });
    await call('POST', `${path}/start`);
    await until(
      `the ${direction} task to run`,
      async (saw) => {
        const { state, error } = await call<{ state: string; error?: unknown }>('GET', path);
        saw({ state, error });
        return state === 'Running';
      },
      { timeoutMs: 90_000 },
    );
  }
  return id;
}
type Report = { readonly items: readonly { readonly item: string; readonly status: string }[] };

async function byCommands({ apiUrl, token, urls, passwords }: Place): Promise<string> {
  const env = {
    ...{ PGTWIN_API: apiUrl, PGTWIN_TOKEN: token },
    ...{ PGTWIN_A_PASSWORD: passwords.a, PGTWIN_B_PASSWORD: passwords.b },
  };
  const run = async (line: string): Promise<string> => {
    const { code, out, err } = await runCommand(line, env);
    if (code !== 0) throw new Error(`pgtwin ${line}: ${code}\n${out}${err}`);
    return out;
  };
  const sides = `--a ${urls.a}?sslmode=disable --b ${urls.b}?sslmode=disable`;
  const { id } = JSON.parse(await run(`pair create --name by-commands ${sides} --json`)) as { id: string };
  await run(`test-connectivity ${id}`);
  await run(`configure ${id} --forward-only --include public`);
  await run(`precheck ${id} --task forward --ignore-alerts`);
  await run(`start ${id} --task forward --wait --timeout 90`);
  await run(`configure ${id} --task reverse --include public`);
  await run(`precheck ${id} --task reverse --ignore-alerts`);
  await run(`start ${id} --task reverse --wait --timeout 90`);
  return id;
}

async function byConsole({ apiUrl, token, urls, passwords }: Place): Promise<string> {
  await using browser = await openBrowser();
  await using shown = await openConsole(browser, apiUrl);
  const { page } = shown;
  await shown.signIn(token);
  await connectBoth(shown, {
    name: 'by console',
    sides: { a: typedSide(urls.a, passwords.a), b: typedSide(urls.b, passwords.b) },
  });
  await seeBothConnected(shown);
  await page.getByLabel('Not now').check();
  await toSettings(shown);
  await checkAndStart(shown, { task: 'Forward task', request: /^POST .*[/]configure/ });
  await seeRunning(shown, ['Forward task']);
  await page.getByRole('link', { name: 'Set up the reverse task' }).click();
  await page.getByRole('heading', { name: 'Choose the objects', level: 1 }).waitFor();
  await toSettings(shown);
  await checkAndStart(shown, { task: 'Reverse task', request: /^PUT .*[/]tasks[/]reverse/ });
  await seeRunning(shown, ['Forward task', 'Reverse task']);
  shown.assertClean();
  return pairOf(shown);
}
