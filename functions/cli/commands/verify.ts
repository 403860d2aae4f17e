import { setTimeout as pause } from 'node:timers/promises';
import type { ApiClient } from '../../../shared/client/client.ts';
import { count, duration } from '../../../shared/client/figures.ts';
import type { DifferencePage, TableReportPage } from '../../../shared/client/verify-client.ts';
import type { VerificationView } from '../../../shared/client/verify-contract.ts';
import { PgtwinError } from '../../../shared/errors/pgtwin-error.ts';
import { differingRows, isUnderWork } from '../../../shared/verify/run-facts.ts';
import { type Winner, winners, wordsOfWinner } from '../../../shared/verify/winner.ts';
import { type Context, defineCommand, type ExitCode, integerOf, usageError } from '../command.ts';
import { tableLines } from '../figures.ts';
import { confirm, pickPair, yesOption } from '../pick.ts';

const pairArgument = { arguments: '[PAIR]', most: 1 } as const;
const runOption = {
  run: { type: 'string', value: 'ID', help: 'this verification instead of the newest' },
} as const;
const tableOption = {
  table: {
    type: 'string',
    value: 'SCHEMA.TABLE',
    multiple: true,
    help: 'only this table; `*` stands for any run of characters',
  },
} as const;
const waitOptions = {
  wait: { type: 'boolean', help: 'until it has ended' },
  timeout: { type: 'string', value: 'SECONDS', help: 'wait at most so long (3600)' },
} as const;

export const startVerification = defineCommand({
  name: 'verify start',
  summary: 'Compare the rows of both databases while changes flow',
  ...pairArgument,
  about: ['Ends with 1 if it waited and the databases differ.'],
  options: {
    ...tableOption,
    sample: { type: 'string', value: 'PERCENT', help: 'look only at so many of the pages' },
    rate: { type: 'string', value: 'ROWS', help: 'read at most so many rows a second (100000)' },
    keys: { type: 'string', value: 'N', help: 'keep at most so many differing keys of a table (1000)' },
    repair: {
      type: 'string',
      value: 'SIDE',
      choices: winners,
      help: "repair at once: this side wins, or the one of each table's policy",
    },
    yes: yesOption,
    ...waitOptions,
  },
  examples: ['pgtwin verify start shop --wait', 'pgtwin verify start shop --table public.orders --sample 5'],
  async run(context, values, [given]) {
    const timeoutSeconds = integerOf(values.timeout, '--timeout', 3600);
    const percent = values.sample === undefined ? undefined : Number(values.sample);
    if (percent !== undefined && !(percent > 0 && percent <= 100))
      throw usageError('--sample must be a number above 0, at most 100');
    const { id, name } = await pickPair(context.api, given);
    if (values.repair)
      await confirm(
        context,
        values.yes,
        `${replacing(values.repair)} replace those that differ in ${id} (${name}). Really?`,
      );
    const started = await context.api.startVerification(id, {
      ...(percent === undefined ? {} : { mode: 'sampled' as const, samplePercent: percent }),
      ...(values.table ? { tables: values.table.map(tableOf) } : {}),
      ...(values.rate === undefined ? {} : { rowsPerSecond: integerOf(values.rate, '--rate', 1) }),
      ...(values.keys === undefined ? {} : { maxKeys: integerOf(values.keys, '--keys', 1) }),
      ...(values.repair ? { repair: values.repair } : {}),
    });
    return tell(context, id, started, values.wait ? timeoutSeconds : undefined);
  },
});

export const verifyStatus = defineCommand({
  name: 'verify status',
  summary: 'Show how far a verification is, and what it found',
  ...pairArgument,
  options: { ...runOption, ...waitOptions },
  async run(context, values, [given]) {
    const timeoutSeconds = integerOf(values.timeout, '--timeout', 3600);
    const { id } = await pickPair(context.api, given);
    const run = await findRun(context.api, id, values.run);
    return tell(context, id, run, values.wait ? timeoutSeconds : undefined);
  },
});

export const verifyReport = defineCommand({
  name: 'verify report',
  summary: 'Show what a verification found in each table, and the keys that differ',
  ...pairArgument,
  options: {
    ...runOption,
    limit: { type: 'string', value: 'N', help: 'show at most so many keys (100)' },
  },
  async run({ api, say, print }, values, [given]) {
    const limit = integerOf(values.limit, '--limit', 100);
    const { id } = await pickPair(api, given);
    const run = await findRun(api, id, values.run);
    const tables = await allReports(api, id, run.id);
    const { differences, more } = await someDifferences(api, id, run.id, limit);
    print({ verification: run, tables, differences, more });
    const head = [
      'TABLE',
      'ROWS A',
      'ROWS B',
      'ONLY A',
      'ONLY B',
      'DIFFERENT',
      'EXTRA',
      'RECHECKED',
      'TIME',
      'NOTE',
    ];
    const rows = tables.map(({ a, counts, seconds, error, notes, skipped }) => [
      `${a.schema}.${a.name}`,
      ...[counts.rowsOnA, counts.rowsOnB, counts.missingOnB, counts.missingOnA].map(count),
      ...[counts.different, counts.extra, counts.rechecked].map(count),
      duration(seconds),
      error ? `${error.code}: ${error.detail}` : skipped ? `skipped: ${skipped}` : notes.join(' '),
    ]);
    for (const line of tableLines(head, rows)) say(line);
    if (differences.length > 0) {
      say('');
      const shown = differences.map(({ a, key, kind, columns, state, detail }) => [
        ...[`${a.schema}.${a.name}`, key?.join(', ') ?? '', kind, columns.join(', ')],
        state + (detail ? ` (${detail})` : ''),
      ]);
      for (const line of tableLines(['TABLE', 'KEY', 'KIND', 'COLUMNS', 'STATE'], shown)) say(line);
    }
    if (more) say('There are more: see --limit.');
    return 0;
  },
});

export const repairVerification = defineCommand({
  name: 'verify repair',
  summary: 'Make the rows that differ those of the side that wins',
  ...pairArgument,
  options: {
    ...runOption,
    winner: {
      type: 'string',
      value: 'SIDE',
      choices: winners,
      help: "the side whose rows stay, or as each table's policy says",
    },
    ...tableOption,
    yes: yesOption,
    ...waitOptions,
  },
  examples: ['pgtwin verify repair shop --winner a --wait'],
  async run(context, values, [given]) {
    const timeoutSeconds = integerOf(values.timeout, '--timeout', 3600);
    const { winner } = values;
    if (!winner) throw usageError('--winner a or --winner b is needed');
    const { id, name } = await pickPair(context.api, given);
    const run = await findRun(context.api, id, values.run);
    await confirm(
      context,
      values.yes,
      `${replacing(winner)} replace those that differ in ${id} (${name}). Really?`,
    );
    const asked = await context.api.repairVerification(id, run.id, {
      winner,
      ...(values.table ? { tables: values.table.map(tableOf) } : {}),
    });
    return tell(context, id, asked, values.wait ? timeoutSeconds : undefined);
  },
});

export const cancelVerification = defineCommand({
  name: 'verify cancel',
  summary: 'End a verification where it stands',
  ...pairArgument,
  options: runOption,
  async run(context, values, [given]) {
    const { id } = await pickPair(context.api, given);
    const run = await findRun(context.api, id, values.run);
    const cancelled = await context.api.cancelVerification(id, run.id);
    context.print(cancelled);
    context.say(`Verification ${run.id} is ${cancelled.status}.`);
    return 0;
  },
});

const replacing = (winner: Winner): string =>
  winner === 'policy' ? "Rows of the side that each table's policy names" : `Rows of side ${winner}`;

function tableOf(text: string): { schema: string; table: string } {
  const [schema, table, ...rest] = text.split('.');
  if (!schema || !table || rest.length > 0) throw usageError('--table must be SCHEMA.TABLE');
  return { schema, table };
}

async function findRun(api: ApiClient, pair: string, id: string | undefined): Promise<VerificationView> {
  if (id !== undefined) return api.getVerification(pair, id);
  const { verifications } = await api.listVerifications(pair, { limit: 1 });
  const [newest] = verifications;
  if (newest) return newest;
  throw new PgtwinError('not-found', {
    detail: 'There is no verification of this pair.',
    advice: 'Start one with "pgtwin verify start".',
  });
}

const POLL_MS = 1_000;

/** Shows a run, at its end if that is waited for. */
async function tell(
  context: Context,
  pair: string,
  from: VerificationView,
  timeoutSeconds: number | undefined,
): Promise<ExitCode> {
  let run = from;
  const until = performance.now() + (timeoutSeconds ?? 0) * 1000;
  while (timeoutSeconds !== undefined && isUnderWork(run)) {
    if (performance.now() > until)
      throw new PgtwinError('wait-ended', {
        detail: `Verification ${run.id} is still ${run.status} after ${timeoutSeconds} s.`,
      });
    await pause(POLL_MS, undefined, { signal: context.io.signal });
    run = await context.api.getVerification(pair, run.id);
  }
  context.print(run);
  for (const line of linesOf(run)) context.say(line);
  if (timeoutSeconds === undefined) return 0;
  return run.status === 'finished' && (run.equal || run.repair?.refused === 0) ? 0 : 1;
}

function linesOf(run: VerificationView): string[] {
  const { counts, current, repair, error, waiting } = run;
  const differing = differingRows(counts);
  const verdict = run.equal ? ': all equal' : run.equal === false ? ': not equal' : '';
  return [
    `Verification ${run.id} ${run.status}${verdict}`,
    `  tables     ${run.tablesDone} of ${run.tables}${run.tablesFailed > 0 ? `, ${run.tablesFailed} could not be compared` : ''}${run.tablesSkipped > 0 ? `, ${run.tablesSkipped} with a filter or steps skipped` : ''}`,
    `  rows       ${count(counts.rowsOnA)} on a, ${count(counts.rowsOnB)} on b`,
    `  differing  ${count(differing)} (only on a ${count(counts.missingOnB)}, only on b ${count(counts.missingOnA)}, different ${count(counts.different)}, extra ${count(counts.extra)})`,
    `  in flight  ${count(counts.rechecked)} were equal when looked at again, ${count(counts.unsettled)} not settled`,
    ...(current ? [`  now        ${current.a.schema}.${current.a.name}, ${count(current.rows)} rows`] : []),
    ...(repair
      ? [
          `  repair     ${wordsOfWinner(repair.order.winner)}: ${count(repair.repaired)} repaired, ${count(repair.refused)} not`,
        ]
      : []),
    ...(waiting ? [`  waits      ${waiting}`] : []),
    ...(error ? [`  error      ${error.code}: ${error.detail}`] : []),
  ];
}

async function allReports(api: ApiClient, pair: string, run: string): Promise<TableReportPage['tables']> {
  const all: TableReportPage['tables'] = [];
  let cursor: string | undefined;
  do {
    const page = await api.listTableReports(pair, run, { limit: 500, cursor });
    all.push(...page.tables);
    cursor = page.next;
  } while (cursor !== undefined);
  return all;
}

async function someDifferences(
  api: ApiClient,
  pair: string,
  run: string,
  limit: number,
): Promise<{ differences: DifferencePage['differences']; more: boolean }> {
  const all: DifferencePage['differences'] = [];
  let cursor: string | undefined;
  do {
    const page = await api.listDifferences(pair, run, { limit: 500, cursor });
    all.push(...page.differences);
    cursor = page.next;
  } while (cursor !== undefined && all.length < limit);
  return { differences: all.slice(0, limit), more: cursor !== undefined || all.length > limit };
}
