import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

const outputFolder = resolve(import.meta.dirname, '../output');
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** A test's own browser makes no calls of its own. */
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** The browser of the npm package where there is one for this machine, else one that is installed. */
export async function openBrowser(): Promise<Browser & AsyncDisposable> {
  const tries: (() => Promise<Browser>)[] = [
    ...(process.platform === 'linux' && process.arch === 'x64' ? [launchPackaged] : []),
    ...['chrome', 'chromium', 'msedge'].map((channel) => () => chromium.launch({ channel, args })),
    ...['/usr/bin/chromium', '/usr/bin/google-chrome'].map(
      (executablePath) => () => chromium.launch({ executablePath, args }),
    ),
  ];
  for (const launch of tries) {
    const browser = await launch().catch(() => undefined);
    if (browser) return Object.assign(browser, { [Symbol.asyncDispose]: () => browser.close() });
  }
  throw new Error('The console tests need a browser: install Google Chrome or Chromium.');
}

async function launchPackaged(): Promise<Browser> {
  const { default: packaged } = await import('@sparticuz/chromium');
  return chromium.launch({ executablePath: await packaged.executablePath(), args, headless: true });
}

/** The console in a tab of its own, and what it must not do. */
export type ConsolePage = AsyncDisposable & {
  readonly page: Page;
  /** Opens a page of the console, such as `pairs/abc`. */
  visit(path: string): Promise<void>;
  signIn(token: string): Promise<void>;
  /** Fails on what axe finds, in both themes; keeps a screenshot of each under `name`. */
  look(name: string): Promise<void>;
  /** Fails if the page broke its policy, threw, or asked another host for something. */
  assertClean(): void;
};

/** Opens the console of an API; its address ends without a slash. */
export async function openConsole(browser: Browser, apiUrl: string): Promise<ConsolePage> {
  const context: BrowserContext = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    colorScheme: 'light',
    reducedMotion: 'reduce',
    locale: 'en-US',
    timezoneId: 'UTC',
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const wrong: string[] = [];
  const origin = new URL(apiUrl).origin;
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== origin) wrong.push(`asked another host: ${request.url()}`);
  });
  page.on('pageerror', (error) => wrong.push(`threw: ${error.message}`));
  page.on('console', (message) => {
    // An answer that refuses is no fault of the page.
    const refused = message.text().startsWith('Failed to load resource');
    if (message.type() === 'error' && !refused) wrong.push(`printed: ${message.text()}`);
  });
  await page.addInitScript(
    `addEventListener('securitypolicyviolation', (event) =>
      console.error('policy violated: ' + event.violatedDirective + ' ' + event.blockedURI))`,
  );
  const found: ConsolePage = {
    page,
    async visit(path) {
      await page.goto(`${apiUrl}/console/#/${path}`);
    },
    async signIn(token) {
      await page.goto(`${apiUrl}/console`);
      await page.getByLabel('API token').fill(token);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('heading', { name: 'Pairs', level: 1 }).waitFor();
    },
    async look(name) {
      mkdirSync(outputFolder, { recursive: true });
      for (const theme of ['light', 'dark'] as const) {
        await page.getByLabel('Theme').selectOption(theme);
        await page.screenshot({ path: join(outputFolder, `${name}-${theme}.png`), fullPage: true });
        // The other theme has other colours, and the same page.
        const violations = await violationsOf(page, theme === 'dark' ? ['color-contrast'] : undefined);
        if (violations.length > 0) throw new Error(`axe on ${name}, ${theme}:\n${violations.join('\n')}`);
      }
      await page.getByLabel('Theme').selectOption('system');
    },
    assertClean() {
      if (wrong.length > 0) throw new Error(`The console did what it must not:\n${wrong.join('\n')}`);
    },
    [Symbol.asyncDispose]: () => context.close(),
  };
  return found;
}

/** What axe has against the page as it is, in words. Evaluated by the debugger: the page's policy allows no script. */
async function violationsOf(page: Page, rules?: readonly string[]): Promise<string[]> {
  await page.evaluate(axeSource);
  return page.evaluate(async (only) => {
    const { axe } = globalThis as unknown as { axe: { run(options: object): Promise<AxeResults> } };
    const { violations } = await axe.run({
      resultTypes: ['violations'],
      ...(only ? { runOnly: only } : {}),
    });
    return violations.map(
      ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' | ')}`,
    );
  }, rules);
}

type AxeResults = {
  readonly violations: readonly {
    readonly id: string;
    readonly help: string;
    readonly nodes: readonly { readonly html: string }[];
  }[];
};
