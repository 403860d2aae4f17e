import type { ChangeLimits, LoadLimits } from '../../../shared/client/client.ts';
import { count } from '../../../shared/client/figures.ts';
import { defineCommand, usageError } from '../command.ts';
import { tableLines } from '../figures.ts';
import { directionsOf, pickPair, taskOption } from '../pick.ts';

const names = {
  full: ['queriesPerSecond', 'rowsPerSecond', 'bytesPerSecond'],
  incremental: ['rowsPerSecond', 'bytesPerSecond'],
} as const;

export const limits = defineCommand({
  name: 'limits',
  summary: 'Show or change what a task may take from its source',
  arguments: '[PAIR]',
  most: 1,
  about: ['Limits hold from the moment they are changed, also while the task runs. "none" takes one away.'],
  options: {
    task: taskOption,
    set: {
      type: 'string',
      value: 'LIMIT=NUMBER',
      multiple: true,
      help: 'such as full.rowsPerSecond=5000 or incremental.bytesPerSecond=none; needs --task',
    },
  },
  examples: [
    'pgtwin limits shop',
    'pgtwin limits shop --task forward --set full.rowsPerSecond=5000 --set full.queriesPerSecond=none',
  ],
  async run({ api, say, print }, values, [given]) {
    const change = changeOf(values.set ?? []);
    if (change && !values.task) throw usageError('--set needs --task');
    const pair = await pickPair(api, given);
    const found: { [direction: string]: LoadLimits } = {};
    for (const direction of directionsOf(values.task))
      found[direction] = change
        ? await api.changeLimits(pair.id, direction, change)
        : await api.getLimits(pair.id, direction);
    print(found);
    const rows = Object.entries(found).flatMap(([direction, now]) =>
      Object.entries(now).flatMap(([part, each]) =>
        Object.entries(each).map(([name, value]) => [
          ...[direction, `${part}.${name}`],
          value === null ? 'none' : count(value),
        ]),
      ),
    );
    for (const line of tableLines(['TASK', 'LIMIT', 'PER SECOND'], rows)) say(line);
    return 0;
  },
});

/** Undefined if nothing is to be changed. */
function changeOf(given: readonly string[]): ChangeLimits | undefined {
  const change: Record<string, Record<string, number | null>> = {};
  for (const text of given) {
    const [, part = '', name = '', value = ''] = /^(\w+)[.](\w+)=(\d+|none)$/.exec(text) ?? [];
    const known: readonly string[] = names[part as keyof typeof names] ?? [];
    if (!known.includes(name))
      throw usageError(
        `--set must be LIMIT=NUMBER or LIMIT=none; limits are ${Object.entries(names)
          .flatMap(([each, fields]) => fields.map((field) => `${each}.${field}`))
          .join(', ')}`,
      );
    change[part] = { ...change[part], [name]: value === 'none' ? null : Number(value) };
  }
  return given.length > 0 ? change : undefined;
}
