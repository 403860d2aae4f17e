import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { styleText } from 'node:util';
import { type ApiClient, allPairs, openApiClient } from '../../shared/client/client.ts';
import type { PairView } from '../../shared/client/contract.ts';
import { precheckLines } from '../../shared/client/precheck-text.ts';
import { asPgtwinError, PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { directions } from '../../shared/task/schema.ts';
import { type LogFile, openLogFile } from './log-file.ts';
import { startMonitor } from './monitor.ts';
import { makePair } from './pair-setup.ts';
import { Platform } from './platform.ts';
import { readStartOptions, type StartOptions, usage } from './start-options.ts';
import { openStateFolder, type StateFolder } from './state-folder.ts';

const WATCH_MS = 2_000;
/** So often in a row may the API not answer. */
const MOST_MISSES = 5;

const say = (text = ''): void => void process.stdout.write(`${text}\n`);

/** The exit code of a stop by signal. It reaches our parts too: what fails after it is no failure. */
let stoppedWith = 0;

/** `npm start`: the local platform for a user's own databases. Runs until Ctrl-C. */
async function main(): Promise<number> {
  const options = readStartOptions(process.argv.slice(2), process.env);
  if (options.help) {
    say(usage);
    return 0;
  }
  const stopping = new AbortController();
  for (const [signal, number] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.on(signal, () => {
      if (stopping.signal.aborted) process.exit(number);
      stoppedWith = number;
      stopping.abort();
    });
  await using open = new AsyncDisposableStack();
  const folder = await openStateFolder(options.home);
  open.defer(() => folder.release());
  const log = openLogFile(join(folder.path, 'platform.log'));
  open.defer(() => log.close());
  if (options.port !== 0) await assertFree(options.port);
  say(`Starting pgtwin; its state is in ${folder.path}.`);
  const platform = await Platform.start({
    stateDir: folder.path,
    log: options.log,
    apiTokens: `local:admin:${folder.token}`,
    apiPort: options.port,
    onLine: log.write,
  });
  open.defer(() => platform.stop());
  const monitor = startMonitor({ env: platform.env, onLine: log.write });
  open.defer(() => monitor.stop());
  folder.serves(platform.apiUrl);
  const api = openApiClient({ url: platform.apiUrl, token: folder.token });
  describe(api, folder, log);
  const pairs = await allPairs(api);
  if (pairs.length === 0) await firstPair(api, options);
  else for (const pair of pairs) await knownPair(api, pair, options);
  if (!stopping.signal.aborted) {
    say('\nRunning. Ctrl-C stops; the next start goes on from there.');
    await watch(api, platform, stopping.signal);
  }
  say('Stopping.');
  return stoppedWith;
}

function describe(api: ApiClient, folder: StateFolder, log: LogFile): void {
  say(`  console ${styleText('bold', `${api.url}/console/`)}   (sign in with the token)`);
  say(`  API     ${styleText('bold', api.url)}   (OpenAPI: ${api.url}/openapi.json)`);
  say(`  token   ${api.token}   (kept in ${join(folder.path, 'api-token')})`);
  say(`  log     ${log.path}`);
}

const curl = (api: ApiClient, method: string, path: string, body?: string): string =>
  `  curl -s -X ${method} ${api.url}${path} -H 'Authorization: Bearer ${api.token}'` +
  (body ? ` \\\n    -H 'Content-Type: application/json' -d '${body}'` : '');

/** With two databases given: their pair. Else what to send to make one. */
async function firstPair(api: ApiClient, { sides, incomplete, yes }: StartOptions): Promise<void> {
  if (!sides) {
    if (incomplete) say(`\nOnly one database was given; a pair needs two.`);
    say(`\nThere is no pair yet. Make one, then configure both directions, check, and start:`);
    const side = (name: string) =>
      `"${name}":{"url":"postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=require"}`;
    const all = '{"objects":{"include":[{"schema":"*"}]}';
    say(curl(api, 'POST', '/v1/pairs', `{"name":"my pair","sides":{${side('a')},${side('b')}}}`));
    say(
      curl(api, 'POST', '/v1/pairs/ID/configure', `{"forward":${all}},"reverse":${all},"autoStart":true}}`),
    );
    say(curl(api, 'POST', '/v1/pairs/ID/precheck', '{"ignoreAlerts":true}'));
    say(curl(api, 'POST', '/v1/pairs/ID/tasks/forward/start'));
    say('Or stop this and run: npm start -- URL_A URL_B');
    return;
  }
  say('\nMaking a pair of the two databases, both directions, all tables.');
  const id = await makePair(api, { name: 'local', sides });
  say(`  pair    ${id}`);
  await bringUp(api, id, yes);
}

async function knownPair(api: ApiClient, pair: PairView, { sides, yes }: StartOptions): Promise<void> {
  const { a, b } = pair.sides;
  const { forward, reverse } = pair.tasks;
  say(
    `\nPair ${pair.id} (${pair.name}): ${a.database} at ${a.host}:${a.port}, ${b.database} at ${b.host}:${b.port}`,
  );
  say(`  forward ${forward.state}, reverse ${reverse.state}`);
  if (sides) say('  It was made before: databases that are given now are not looked at.');
  const waits = ['NotConfigured', 'PrecheckFailed', 'PrecheckPassed'].includes(forward.state);
  if (waits) await bringUp(api, pair.id, yes);
}

/** The precheck in words; then the start, or how to ask for it. */
async function bringUp(api: ApiClient, id: string, yes: boolean): Promise<void> {
  const reports = await api.precheckBoth(id, { ignoreAlerts: true });
  say('  precheck');
  for (const line of precheckLines(reports)) say(`    ${line}`);
  const ready = directions.every((direction) => reports[direction]?.ready);
  if (ready && yes) {
    await api.act(id, 'forward', 'start');
    say('  Both tasks start: the rows of a are copied to b, then changes go both ways.');
    return;
  }
  if (!ready) {
    say('Mend what FAILED, then check again:');
    say(curl(api, 'POST', `/v1/pairs/${id}/precheck`, '{"ignoreAlerts":true}'));
    say('and start (or stop this, and start it again with --yes):');
  } else say('Everything is ready. To start (--yes does it by itself):');
  say(curl(api, 'POST', `/v1/pairs/${id}/tasks/forward/start`));
}

/** Says what changes, and starts the capture again should it have died. */
async function watch(api: ApiClient, platform: Platform, signal: AbortSignal): Promise<void> {
  const known = new Map<string, string>();
  for (let misses = 0; !signal.aborted; ) {
    platform.startCapture();
    try {
      for (const pair of await allPairs(api)) tell(known, pair);
      misses = 0;
    } catch (error) {
      misses += 1;
      if (misses > MOST_MISSES) throw error;
    }
    await pause(WATCH_MS, undefined, { signal }).catch(() => undefined);
  }
}

function tell(known: Map<string, string>, pair: PairView): void {
  for (const direction of directions) {
    const { state, error } = pair.tasks[direction];
    const name = `${pair.id} ${direction}`;
    const now = error && state !== 'Running' ? `${state}: ${error.detail} ${error.advice}` : state;
    if (known.get(name) === now) continue;
    known.set(name, now);
    say(`${new Date().toISOString().slice(11, 19)}  ${name.padEnd(20)}  ${now}`);
  }
}

async function assertFree(port: number): Promise<void> {
  const probe = createServer();
  await new Promise<void>((free, taken) => {
    probe.once('error', taken);
    probe.listen(port, '0.0.0.0', () => probe.close(() => free()));
  }).catch((cause) => {
    const detail = `Port ${port} is taken. Choose another one with --port, or --port 0 for any free one.`;
    throw new PgtwinError('local-server-failed', { detail }, { cause });
  });
}

main().then(
  (code) => process.exit(code),
  (thrown: unknown) => {
    if (stoppedWith) process.exit(stoppedWith);
    const error = asPgtwinError(thrown);
    const advice =
      error.code === 'local-server-failed' || error.code === 'internal' ? '' : ` ${error.rule.advice}`;
    process.stderr.write(
      `${styleText('red', 'npm start failed:', { stream: process.stderr })} ${error.message}${advice}\n`,
    );
    process.exit(1);
  },
);
