import type { TaskDetail } from '../../../shared/client/contract.ts';
import { type Direction, directions, type TableName } from '../../../shared/task/schema.ts';
import { defineCommand, usageError } from '../command.ts';
import { configurationOptions, readConfiguration } from '../configuration.ts';
import { pickPair, taskOption } from '../pick.ts';

const about = [
  'Without --task both tasks are configured, and the reverse one starts by itself when the forward one runs. The\n' +
    'objects stand for both unless --reverse-include or --reverse-exclude says otherwise.',
];

export const configure = defineCommand({
  name: 'configure',
  summary: 'Say what the tasks of a pair synchronize, and how',
  arguments: '[PAIR]',
  most: 1,
  about,
  options: { task: taskOption, ...configurationOptions },
  examples: [
    'pgtwin configure --all --policy last-write-wins',
    'pgtwin configure shop --include shop --exclude "shop.log_*" --set retryConnectionMinutes=60',
    'pgtwin configure shop --task reverse --include shop.orders',
    'pgtwin configure shop --file tasks.json',
  ],
  async run({ api, io, say, print }, values, [given]) {
    const wanted = await readConfiguration(values, values.task, io);
    const { id } = await pickPair(api, given);
    const line = (direction: Direction, { state, config }: TaskDetail) =>
      say(
        `${direction.padEnd(8)} ${config ? `configured, ${config.objects.include.length} pattern(s), conflicts: ${config.conflictPolicy}` : 'not configured'}   ${state}`,
      );
    if (wanted.direction) {
      const task = await api.configureTask(id, wanted.direction, wanted.config);
      print(task);
      line(wanted.direction, task);
    } else {
      const tasks = await api.configureBoth(id, wanted.both);
      print(tasks);
      for (const direction of directions) line(direction, tasks[direction]);
    }
    say(`Next: pgtwin precheck ${id}`);
    return 0;
  },
});

export const preview = defineCommand({
  name: 'preview',
  summary: 'Show the request that a configuration is, and the tables it selects; nothing is changed',
  arguments: '[PAIR]',
  most: 1,
  about,
  options: configurationOptions,
  examples: ['pgtwin preview shop --include shop', 'pgtwin preview shop --all --json > request.json'],
  async run({ api, io, say, print }, values, [given]) {
    const wanted = await readConfiguration(values, undefined, io);
    if (wanted.direction) throw usageError('a preview is of both tasks');
    const { id } = await pickPair(api, given);
    const shown = await api.preview(id, wanted.both);
    print(shown);
    for (const direction of directions) {
      const selected = shown[direction];
      if (!selected) continue;
      say(`${direction}: ${selected.count} table(s)`);
      for (const table of selected.tables) say(`  ${nameOf(table)}`);
    }
    const { method, path, body } = shown.request;
    say(`\n${method} ${path}\n${JSON.stringify(body, null, 2)}`);
    return 0;
  },
});

export const objects = defineCommand({
  name: 'objects',
  summary: 'Show which tables and columns a configuration selects, and their names on the destination',
  arguments: '[PAIR]',
  most: 1,
  about: [
    'Where two objects would be called the same, both are named and nothing is shown. With --json also the names that\n' +
      'lead exactly back, for mapping.names of the other task.',
  ],
  options: configurationOptions,
  examples: [
    'pgtwin objects shop --file tasks.json',
    'pgtwin objects shop --all --set objects.mapping.capitalization=lower',
  ],
  async run({ api, io, say, print }, values, [given]) {
    const wanted = await readConfiguration(values, undefined, io);
    if (wanted.direction) throw usageError('the objects are of both tasks');
    const { id } = await pickPair(api, given);
    const { forward, reverse } = wanted.both;
    const shown = await api.previewObjects(id, {
      forward: { objects: forward.objects },
      ...(reverse ? { reverse: { objects: reverse.objects } } : {}),
    });
    print(shown);
    for (const direction of directions) {
      const selected = shown[direction];
      if (!selected) continue;
      say(`${direction}: ${selected.count} table(s)`);
      for (const { source, destination, columns } of selected.tables) {
        const renamed = columns.filter((column) => column.source !== column.destination);
        const names = renamed.map(({ source: from, destination: to }) => `${from ?? '(new)'} -> ${to}`);
        say(
          `  ${nameOf(source)} -> ${nameOf(destination)}${names.length > 0 ? `   (${names.join(', ')})` : ''}`,
        );
      }
    }
    return 0;
  },
});

const nameOf = ({ schema, name }: TableName): string => `${schema}.${name}`;
