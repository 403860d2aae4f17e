import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { type ServerType, serve } from '@hono/node-server';
import { createApp } from './app.ts';
import { tokenOf } from './auth.ts';
import type { ApiDeps } from './deps.ts';
import { depsFromEnvironment } from './from-environment.ts';

export type RunningApi = { readonly url: string; readonly port: number; stop(): Promise<void> };

/** Serves the API under Node; port 0 takes a free one. `stop` waits for the requests that are at work. */
export async function startApi(
  deps: ApiDeps,
  { port, host = '127.0.0.1' }: { port: number; host?: string },
): Promise<RunningApi> {
  const app = createApp(deps);
  const { server, bound } = await new Promise<{ server: ServerType; bound: number }>((resolve, reject) => {
    const opened = serve({ fetch: app.fetch, port, hostname: host }, (info) =>
      resolve({ server: opened, bound: info.port }),
    );
    opened.once('error', reject);
  });
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${bound}`;
  deps.log.info('api is listening', { url });
  return {
    url,
    port: bound,
    stop: () =>
      new Promise((done, failed) => {
        server.close((error) => (error ? failed(error) : done()));
        if ('closeIdleConnections' in server) server.closeIdleConnections();
      }),
  };
}

/** A token for one run of the local platform, to be shown to its user once. */
export function newToken(name = 'local'): { text: string; token: ReturnType<typeof tokenOf> } {
  const text = randomBytes(24).toString('base64url');
  return { text, token: tokenOf(name, 'admin', text) };
}

async function main(): Promise<void> {
  const { deps, environment } = await depsFromEnvironment();
  const api = await startApi(deps, { port: environment.PGTWIN_PORT, host: environment.PGTWIN_HOST });
  // To whoever has started this process and waits for the address.
  process.send?.({ url: api.url });
  const stop = (): void => void api.stop().then(() => process.exit(0));
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
