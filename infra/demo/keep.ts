import { once } from 'node:events';
import { styleText } from 'node:util';
import type { ApiClient } from '../../shared/client/client.ts';
import { sides } from '../../shared/task/schema.ts';
import type { DemoDatabases } from './databases.ts';
import type { Screen } from './screen.ts';

/** Says how to look around, and waits for Ctrl-C. */
export async function keepRunning(options: {
  readonly screen: Screen;
  readonly databases: DemoDatabases;
  readonly api: ApiClient;
  readonly pair: string;
  readonly log: string;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { screen, databases, api, pair, log, signal } = options;
  const curl = (path: string) => `curl -s -H 'Authorization: Bearer ${api.token}' ${api.url}${path}`;
  screen.heading('Everything keeps running (--keep). Write on either side and look at the other:');
  for (const side of sides) screen.item(`side ${side}`, `psql '${databases[side].url}'`);
  screen.item('console', `${api.url}/console/   (sign in with the token)`);
  screen.item('API', `${api.url}   token ${api.token}`);
  screen.item('the pair', curl(`/v1/pairs/${pair}`));
  screen.item('conflicts', curl(`/v1/pairs/${pair}/tasks/forward/conflicts`));
  screen.item('log', log);
  screen.say(styleText('bold', 'Ctrl-C stops everything and removes it.'));
  // A signal alone keeps no process running.
  const timer = setInterval(() => undefined, 60_000);
  try {
    await once(signal, 'abort');
  } finally {
    clearInterval(timer);
  }
}
