import { setTimeout as pause } from 'node:timers/promises';
import type { CopyTableView, PairView } from '../../../shared/client/contract.ts';
import { count } from '../../../shared/client/figures.ts';
import { type Direction, taskStates } from '../../../shared/task/schema.ts';
import { type Context, defineCommand, integerOf, usageError } from '../command.ts';
import { bar, tableLines } from '../figures.ts';
import { readPages } from '../paging.ts';
import { directionsOf, pickPair, taskOption } from '../pick.ts';
import { pairLines } from '../status-text.ts';
import { patient, statusDrawer, waitFor } from '../watch.ts';

export const taskStatus = defineCommand({
  name: 'task status',
  summary: 'Show states, progress, latency and errors of the tasks',
  arguments: '[PAIR]',
  most: 1,
  about: [
    'With --watch it is drawn again and again, until Ctrl-C; with --json as one line each time. --until waits for a\n' +
      'state and ends with 1 if a task fails before.',
  ],
  options: {
    task: taskOption,
    tables: { type: 'boolean', help: 'with the tables that are being copied; not with --watch' },
    watch: { type: 'boolean', short: 'w', help: 'keep looking' },
    interval: { type: 'string', value: 'SECONDS', help: 'with --watch: between two looks (1)' },
    until: {
      type: 'string',
      value: 'STATE',
      choices: taskStates,
      help: 'wait until the tasks are in this state',
    },
    timeout: { type: 'string', value: 'SECONDS', help: 'with --until: give up after this long (3600)' },
  },
  examples: [
    'pgtwin task status --watch',
    'pgtwin task status shop --until Running --timeout 600',
    'pgtwin task status --tables',
  ],
  async run(context, values, [given]) {
    const { api, io, json, paint, say, print } = context;
    const everyMs = integerOf(values.interval, '--interval', 1) * 1000;
    const timeoutSeconds = integerOf(values.timeout, '--timeout', 3600);
    if (values.tables && (values.watch || values.until))
      throw usageError('--tables is of one look: leave --watch and --until out');
    const pair = await pickPair(api, given);
    const directions = directionsOf(values.task);
    const draw = statusDrawer(context, directions);
    const look = (seen: PairView): void => {
      if (json) io.out.write(`${JSON.stringify(statusOf(seen, directions))}\n`);
      draw(seen);
    };
    if (values.until) {
      await waitFor(context, {
        ...{ pair: pair.id, directions, states: [values.until], timeoutSeconds, onLook: look },
        ...(values.watch ? { everyMs } : {}),
      });
      return 0;
    }
    if (!values.watch) {
      const copies = values.tables ? await readCopies(context, pair, directions) : undefined;
      print({ ...statusOf(pair, directions), ...(copies ? { copies } : {}) });
      for (const line of pairLines(pair, { directions, paint, now: new Date() })) say(line);
      for (const [direction, tables] of Object.entries(copies ?? {}))
        for (const line of copyLines(direction, tables)) say(line);
      return 0;
    }
    for (const watching = patient(api, io.signal); ; ) {
      look(await watching.getPair(pair.id));
      await pause(everyMs, undefined, { signal: io.signal });
    }
  },
});

/** The tables of each full copy, all pages. */
async function readCopies(
  { api }: Context,
  { id }: PairView,
  directions: readonly Direction[],
): Promise<{ readonly [direction: string]: readonly CopyTableView[] }> {
  const copies = await Promise.all(
    directions.map(async (direction) => {
      const { entries } = await readPages(Number.MAX_SAFE_INTEGER, undefined, async (at) => {
        const page = await api.listCopy(id, direction, at);
        return { entries: page.tables, next: page.next };
      });
      return [direction, entries] as const;
    }),
  );
  return Object.fromEntries(copies);
}

const order = { copying: 0, waiting: 1, done: 2 } as const;

function copyLines(direction: string, tables: readonly CopyTableView[]): string[] {
  const rows = tables
    .toSorted((one, other) => order[one.state] - order[other.state])
    .map(({ schema, name, state, percent, rowsDone, rowsEstimated }) => [
      ...[direction, `${schema}.${name}`, state, `${bar(percent / 100)} ${percent.toFixed(1).padStart(5)} %`],
      state === 'done' ? count(rowsDone) : `${count(rowsDone)} of about ${count(rowsEstimated)}`,
    ]);
  return rows.length === 0 ? [] : ['', ...tableLines(['TASK', 'TABLE', 'STATE', 'COPIED', 'ROWS'], rows)];
}

const statusOf = ({ id, name, tasks }: PairView, directions: readonly Direction[]) => ({
  id,
  name,
  tasks: Object.fromEntries(directions.map((direction) => [direction, tasks[direction]])),
});
