import { defineCommand, integerOf, usageError } from '../command.ts';
import { tableLines } from '../figures.ts';
import { pageOptions, readPages } from '../paging.ts';
import { directionsOf, pickPair, taskOption } from '../pick.ts';

export const events = defineCommand({
  name: 'events',
  summary: 'Show what happened to the tasks, the newest first',
  arguments: '[PAIR]',
  most: 1,
  options: { task: taskOption, ...pageOptions },
  examples: ['pgtwin events shop --limit 10', 'pgtwin events shop --task forward --json'],
  async run({ api, say, print }, values, [given]) {
    const limit = integerOf(values.limit, '--limit', 50);
    if (values.cursor !== undefined && !values.task) throw usageError('--cursor needs --task');
    const { id } = await pickPair(api, given);
    const pages = await Promise.all(
      directionsOf(values.task).map(async (task) => {
        const page = await readPages(limit, values.cursor, async (at) => {
          const { events: entries, next } = await api.listEvents(id, task, at);
          return { entries, next };
        });
        return { ...page, entries: page.entries.map((event) => ({ task, ...event })) };
      }),
    );
    const merged = pages.flatMap(({ entries }) => entries);
    const shown = (values.task ? merged : merged.sort((one, other) => (one.at < other.at ? 1 : -1))).slice(
      0,
      limit,
    );
    const next = values.task ? pages[0]?.next : undefined;
    print({ events: shown, ...(next === undefined ? {} : { next }) });
    const rows = shown.map(({ at, task, from, to, cause, actor }) => [
      at,
      task,
      `${from} -> ${to}`,
      actor,
      cause,
    ]);
    for (const line of tableLines(['TIME', 'TASK', 'STATE', 'BY', 'WHY'], rows)) say(line);
    if (next !== undefined) say(`There are more: --cursor ${next}`);
    return 0;
  },
});
