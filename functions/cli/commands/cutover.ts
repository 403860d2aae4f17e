import { directions } from '../../../shared/task/schema.ts';
import { defineCommand } from '../command.ts';
import { tableLines } from '../figures.ts';
import { confirm, pickPair, yesOption } from '../pick.ts';

export const cutover = defineCommand({
  name: 'cutover',
  summary: 'Move the sequences of the destination past those of the source',
  arguments: '[PAIR]',
  most: 1,
  about: ['Looks first whether both tasks run and everything has arrived. Can be repeated.'],
  options: {
    'dry-run': { type: 'boolean', help: 'only show what would be done, as SQL' },
    direction: {
      type: 'string',
      value: 'DIRECTION',
      choices: directions,
      help: 'reverse for the way back (forward)',
    },
    force: { type: 'boolean', help: 'also if a check has failed' },
    yes: yesOption,
  },
  examples: ['pgtwin cutover shop --dry-run', 'pgtwin cutover shop --direction reverse --yes'],
  async run(context, values, [given]) {
    const { api, say, print } = context;
    const { id, name } = await pickPair(api, given);
    const direction = values.direction ?? 'forward';
    const dryRun = values['dry-run'] === true;
    if (!dryRun)
      await confirm(context, values.yes, `Set the sequences of ${id} (${name}), ${direction}. Really?`);
    const report = await api.cutOver(id, { direction, dryRun, force: values.force === true });
    print(report);
    for (const { ok, detail } of report.checks) say(`${ok ? 'ok     ' : 'FAILED '} ${detail}`);
    const rows = report.sequences.map((each) => [
      ...[`${each.schema}.${each.name}`, each.source ?? '', each.old, each.new],
      each.note ?? (each.sql === null ? 'far enough' : dryRun ? 'would be set' : 'set'),
    ]);
    if (rows.length === 0) say('No sequences.');
    else for (const line of tableLines(['SEQUENCE', 'SOURCE', 'OLD NEXT', 'NEW NEXT', ''], rows)) say(line);
    if (dryRun) for (const sql of report.sql) say(`${sql};`);
    return report.ready ? 0 : 1;
  },
});
