import { defineCommand, integerOf } from '../command.ts';
import { tableLines } from '../figures.ts';
import { readPages } from '../paging.ts';
import { pickPair } from '../pick.ts';

export const audit = defineCommand({
  name: 'audit',
  summary: 'Show who asked for what, also what was refused, the newest first',
  arguments: '[PAIR]',
  most: 1,
  about: ['Without PAIR it is of all pairs. Needs a token of the role admin.'],
  options: {
    actor: { type: 'string', value: 'NAME', help: 'only what this token or principal asked for' },
    limit: { type: 'string', value: 'NUMBER', help: 'at most so many (50)' },
    cursor: { type: 'string', value: 'CURSOR', help: 'where the last page ended' },
  },
  examples: ['pgtwin audit shop --limit 20', 'pgtwin audit --actor alice --json'],
  async run({ api, say, print }, values, [given]) {
    const limit = integerOf(values.limit, '--limit', 50);
    const pair = given === undefined ? undefined : (await pickPair(api, given)).id;
    const filter = {
      ...(pair ? { pair } : {}),
      ...(values.actor === undefined ? {} : { actor: values.actor }),
    };
    const { entries, next } = await readPages(limit, values.cursor, async (at) => {
      const page = await api.listAudit({ ...filter, ...at });
      return { entries: page.entries, next: page.next };
    });
    print({ entries, ...(next === undefined ? {} : { next }) });
    const rows = entries.map(
      ({ at, actor, role, operation, status, pair: of = '', direction, problem = '' }) => [
        ...[at, actor, role, operation, `${of}${direction ? ` ${direction}` : ''}`, String(status), problem],
      ],
    );
    if (rows.length === 0) say('Nothing was asked for yet.');
    else
      for (const line of tableLines(['TIME', 'ACTOR', 'ROLE', 'OPERATION', 'OF', 'STATUS', 'PROBLEM'], rows))
        say(line);
    if (next !== undefined) say(`There are more: --cursor ${next}`);
    return 0;
  },
});
