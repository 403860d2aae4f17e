import { setTimeout as pause } from 'node:timers/promises';
import type { CreatePair } from '../../../shared/client/client.ts';
import { allPairs } from '../../../shared/client/client.ts';
import type { PairView } from '../../../shared/client/contract.ts';
import { duration } from '../../../shared/client/figures.ts';
import { asPgtwinError, PgtwinError } from '../../../shared/errors/pgtwin-error.ts';
import { directions, sides } from '../../../shared/task/schema.ts';
import { type Context, defineCommand, type ExitCode, integerOf, usageError } from '../command.ts';
import { tableLines } from '../figures.ts';
import { leftoverLines } from '../leftovers.ts';
import { confirm, pickPair, yesOption } from '../pick.ts';
import { readJson, readSide } from '../sides.ts';
import { pairLines } from '../status-text.ts';
import { statusDrawer, waitOptions } from '../watch.ts';

export const createPair = defineCommand({
  name: 'pair create',
  summary: 'Create a pair of two databases',
  about: [
    'A database is postgres://user:password@host:5432/database?sslmode=require. Leave the password out to be\n' +
      'asked for it without echo, or to take it from the environment: what stands on the command line is seen in\n' +
      'the list of processes. Nothing is stored unless both databases answer.',
  ],
  options: {
    a: {
      type: 'string',
      value: 'URL',
      help: 'database of side a, the source of the forward task (PGTWIN_A)',
    },
    b: { type: 'string', value: 'URL', help: 'database of side b (PGTWIN_B)' },
    'a-secret': {
      type: 'string',
      value: 'NAME',
      help: 'secret that holds the password of side a: an ARN, or local:NAME',
    },
    'b-secret': { type: 'string', value: 'NAME', help: 'the same for side b' },
    name: { type: 'string', value: 'NAME', help: 'need not be unique; assigned if left out' },
    environment: { type: 'string', value: 'TAG', help: 'a label, such as production' },
    pool: { type: 'string', value: 'POOL', help: 'which capture service picks the tasks up' },
    arbiter: { type: 'string', choices: sides, help: 'which side decides conflicts (b)' },
    shards: {
      type: 'string',
      value: 'N',
      help: 'above 1 changes are applied side by side and transactions are not whole; never changed (1, at most 16)',
    },
    file: {
      type: 'string',
      value: 'FILE',
      help: 'JSON as the API takes it, instead of the options; - is the standard input',
    },
    'idempotency-key': {
      type: 'string',
      value: 'KEY',
      help: 'sent again with the same key, it makes no second pair',
    },
  },
  examples: [
    'pgtwin pair create --name shop --a postgres://sync@a.example.com/shop --b postgres://sync@b.example.com/shop',
    'pgtwin pair create --file pair.json',
  ],
  async run({ api, io, say, print }, values) {
    const { name, environment, pool, arbiter, shards } = values;
    const facts = {
      ...(name === undefined ? {} : { name }),
      ...(environment === undefined ? {} : { environment }),
      ...(pool === undefined ? {} : { pool }),
      ...(arbiter === undefined ? {} : { arbiter }),
      ...(shards === undefined ? {} : { shards: integerOf(shards, '--shards', 1) }),
    };
    let body: CreatePair;
    if (values.file !== undefined) {
      const beside = (['a', 'b', 'a-secret', 'b-secret'] as const).find(
        (option) => values[option] !== undefined,
      );
      if (beside) throw usageError(`--${beside} and --file exclude each other`);
      body = { ...((await readJson(io, values.file)) as CreatePair), ...facts };
    } else {
      const a = await readSide('a', { url: values.a, secret: values['a-secret'] }, io);
      const b = await readSide('b', { url: values.b, secret: values['b-secret'] }, io);
      body = { ...facts, sides: { a, b } };
    }
    const pair = await api.createPair(body, values['idempotency-key']);
    say(`Pair ${pair.id} (${pair.name}) was created.`);
    say(`Next: pgtwin configure ${pair.id} --all`);
    print(pair);
    return 0;
  },
});

export const listPairs = defineCommand({
  name: 'pair list',
  summary: 'List the pairs and the states of their tasks',
  async run({ api, say, print }) {
    const pairs = await allPairs(api);
    print({ pairs });
    const place = ({ host, port, database }: PairView['sides']['a']) => `${host}:${port}/${database}`;
    const state = ({ tasks }: PairView, direction: 'forward' | 'reverse') => {
      const { state: now, status } = tasks[direction];
      const latency = now === 'Running' ? status?.latencySeconds : undefined;
      return typeof latency === 'number' ? `${now} (${duration(latency)})` : now;
    };
    const rows = pairs.map((pair) => [
      ...[pair.id, pair.name, place(pair.sides.a), place(pair.sides.b)],
      ...[state(pair, 'forward'), state(pair, 'reverse')],
    ]);
    if (rows.length === 0) say('There is no pair yet. Make one with "pgtwin pair create".');
    else for (const line of tableLines(['ID', 'NAME', 'A', 'B', 'FORWARD', 'REVERSE'], rows)) say(line);
    return 0;
  },
});

export const showPair = defineCommand({
  name: 'pair show',
  summary: 'Show a pair: databases, tasks, and what may be done now',
  arguments: '[PAIR]',
  most: 1,
  async run({ api, say, print, paint }, _values, [given]) {
    const pair = await pickPair(api, given);
    print(pair);
    for (const line of pairLines(pair, { directions, paint, now: new Date() })) say(line);
    for (const side of sides) {
      const { user, tls, secret, region } = pair.sides[side];
      say(
        `  side ${side}   user ${user}, TLS ${tls}, password in ${secret}${region ? `, region ${region}` : ''}`,
      );
    }
    say(
      `  arbiter ${pair.arbiter}, pool ${pair.pool}${pair.shards > 1 ? `, ${pair.shards} shards` : ''}, created ${pair.createdAt}${pair.environment ? `, ${pair.environment}` : ''}`,
    );
    for (const direction of directions)
      say(`  ${direction} may: ${pair.tasks[direction].allowedActions.join(', ') || 'nothing'}`);
    return 0;
  },
});

export const deletePair = defineCommand({
  name: 'pair delete',
  summary: 'Release both tasks and remove the pair',
  about: ['What could not be dropped in the databases is listed; deleted again, the pair goes all the same.'],
  arguments: 'PAIR',
  least: 1,
  options: { yes: yesOption, ...waitOptions },
  async run(context, values, [given]) {
    const { api, say, print } = context;
    const seconds = integerOf(values.timeout, '--timeout', 3600);
    const pair = await pickPair(api, given);
    await confirm(context, values.yes, `Delete the pair ${pair.id} (${pair.name})?`);
    let left = await api.deletePair(pair.id);
    if (left && values.wait) left = await waitUntilGone(context, pair.id, seconds);
    print({ id: pair.id, gone: left === undefined, ...(left ? { pair: left } : {}) });
    say(left ? `Pair ${pair.id} is being released; "--wait" waits for it.` : `Pair ${pair.id} is gone.`);
    if (!left || !values.wait) return 0;
    for (const line of leftoverLines(left, directions)) say(line);
    return 1 satisfies ExitCode;
  },
});

/** Undefined when the pair is gone; the pair when both tasks are released with leftovers. */
async function waitUntilGone(context: Context, id: string, seconds: number): Promise<PairView | undefined> {
  const draw = statusDrawer(context, directions);
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const pair = await context.api.getPair(id).catch((error: unknown) => {
      if (asPgtwinError(error).code === 'not-found') return undefined;
      throw error;
    });
    if (!pair) return undefined;
    draw(pair);
    if (directions.every((direction) => pair.tasks[direction].state === 'Released')) return pair;
    if (performance.now() > deadline)
      throw new PgtwinError('wait-ended', { detail: `The pair was not gone within ${seconds} s.` });
    await pause(150, undefined, { signal: context.io.signal });
  }
}
