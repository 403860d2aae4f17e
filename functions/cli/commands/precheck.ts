import type { PrecheckOrder, PrecheckReports } from '../../../shared/client/client.ts';
import type { PairView } from '../../../shared/client/contract.ts';
import { duration } from '../../../shared/client/figures.ts';
import { precheckLines } from '../../../shared/client/precheck-text.ts';
import { destinationOf, directions, type Side, sourceOf } from '../../../shared/task/schema.ts';
import { type Context, defineCommand, usageError } from '../command.ts';
import { directionsOf, pickPair, taskOption } from '../pick.ts';

export const precheck = defineCommand({
  name: 'precheck',
  summary: 'Check all that the tasks need, and print what mends the rest',
  arguments: '[PAIR]',
  most: 1,
  about: ['Ends with 0 if every task may start. Who ignored an item, and when, is recorded.'],
  options: {
    task: taskOption,
    ignore: { type: 'string', value: 'ITEM', multiple: true, help: 'ignore an item by its name' },
    'ignore-alerts': { type: 'boolean', help: 'ignore every alert that may be ignored' },
    item: { type: 'string', value: 'ITEM', multiple: true, help: 'run only this item again' },
    last: { type: 'boolean', help: 'show the newest report and run nothing' },
  },
  examples: ['pgtwin precheck --ignore-alerts', 'pgtwin precheck shop --task forward --ignore sequences'],
  async run(context, values, [given]) {
    const { api, say, print, paint } = context;
    const order: PrecheckOrder = {
      ...(values.ignore ? { ignore: [...values.ignore] } : {}),
      ...(values['ignore-alerts'] ? { ignoreAlerts: true } : {}),
      ...(values.item ? { items: [...values.item] } : {}),
    };
    if (values.last && Object.keys(order).length > 0)
      throw usageError('--last runs nothing: leave --ignore, --ignore-alerts and --item out');
    const pair = await pickPair(api, given);
    const reports = await (values.last ? lastReports : runReports)(context, pair, {
      task: values.task,
      order,
    });
    print(reports);
    const shown = directions.flatMap((direction) => reports[direction] ?? []);
    for (const line of precheckLines(reports, { all: true, paint })) say(line);
    if (shown.length === 0) say('No task is configured yet: run "pgtwin configure" first.');
    const ready = shown.length > 0 && shown.every((report) => report.ready);
    if (ready && !values.last) say(`Next: pgtwin start ${pair.id} --wait`);
    return ready ? 0 : 1;
  },
});

type Wanted = { readonly task: 'forward' | 'reverse' | undefined; readonly order: PrecheckOrder };

async function runReports(
  { api }: Context,
  { id }: PairView,
  { task, order }: Wanted,
): Promise<PrecheckReports> {
  return task ? { [task]: await api.precheckTask(id, task, order) } : api.precheckBoth(id, order);
}

/** Of both, only those that there are; one that was asked for must be there. */
async function lastReports(
  { api }: Context,
  { id, tasks }: PairView,
  { task }: Wanted,
): Promise<PrecheckReports> {
  const wanted = directionsOf(task).filter((direction) => task || tasks[direction].precheck);
  const reports = await Promise.all(
    wanted.map(async (direction) => [direction, await api.getPrecheck(id, direction)] as const),
  );
  return Object.fromEntries(reports);
}

export const testConnectivity = defineCommand({
  name: 'test-connectivity',
  summary: 'Log in to both databases of a pair',
  arguments: '[PAIR]',
  most: 1,
  async run({ api, say, print, paint }, _values, [given]) {
    const { id } = await pickPair(api, given);
    const report = await api.testConnectivity(id, 'forward');
    print(report);
    const tell = (
      side: Side,
      { ok, milliseconds, serverVersion, encrypted, problem }: typeof report.source,
    ) =>
      say(
        ok
          ? `side ${side}   ${paint('green', 'ok')}       PostgreSQL ${serverVersion}, ${encrypted ? 'encrypted' : 'not encrypted'}, ${duration(milliseconds / 1000)}`
          : `side ${side}   ${paint('red', 'FAILED')}   ${problem?.detail ?? ''} ${problem?.advice ?? ''}`,
      );
    tell(sourceOf('forward'), report.source);
    tell(destinationOf('forward'), report.destination);
    return report.source.ok && report.destination.ok ? 0 : 1;
  },
});
