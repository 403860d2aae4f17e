import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { OpenAPIHono } from '@hono/zod-openapi';
import { PgtwinError } from '../../../shared/errors/pgtwin-error.ts';
import type { ApiDeps, ApiEnv } from '../deps.ts';

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml; charset=utf-8',
};

/** All that the console may do: load its own files and call this API. */
const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; '),
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

const PAGE_CACHE = 'no-cache';
/** Their names hold a hash of what they hold. */
const ASSET_CACHE = 'public, max-age=31536000, immutable';

type Files = ReadonlyMap<string, { readonly body: string; readonly type: string }>;

/** The web console: one page and its files, read once. Needs no token: it asks for one, and holds nothing by itself. */
export function addConsoleRoutes(app: OpenAPIHono<ApiEnv>, { consoleFolder }: ApiDeps): void {
  let read: Promise<Files> | undefined;
  const files = (): Promise<Files> => {
    read ??= readFiles(consoleFolder).catch((error: unknown) => {
      read = undefined;
      throw error;
    });
    return read;
  };
  // Below a folder, so that the page's own addresses can be relative, whatever path the API lies at.
  app.get('/console', (c) => c.body(null, 308, { location: 'console/' }));
  app.get('/console/:file{.*}', async (c) => {
    const name = c.req.param('file') || 'index.html';
    const file = (await files()).get(name);
    if (!file)
      throw new PgtwinError('not-found', { detail: `The console has no file ${c.req.path.slice(0, 200)}.` });
    const cache = name === 'index.html' ? PAGE_CACHE : ASSET_CACHE;
    return c.body(file.body, 200, { ...securityHeaders, 'content-type': file.type, 'cache-control': cache });
  });
}

async function readFiles(folder: string | undefined): Promise<Files> {
  const names = folder === undefined ? [] : await readdir(folder).catch(() => []);
  if (folder === undefined || !names.includes('index.html'))
    throw new PgtwinError('not-found', {
      detail: 'This service was built without the console: "npm run build" makes it.',
    });
  const known = names.filter((name) => extname(name) in contentTypes);
  const entries = known.map(async (name): Promise<[string, { body: string; type: string }]> => {
    const body = await readFile(join(folder, name), 'utf8');
    return [name, { body, type: contentTypes[extname(name)]! }];
  });
  return new Map(await Promise.all(entries));
}
