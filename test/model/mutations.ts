import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A rule of the protocol, the line that holds it (marked there with `// rule: name`), and that line without it. */
export type Mutation = {
  readonly rule: string;
  readonly file: string;
  /** Replaces a part of the marked line; without, the line is removed. */
  readonly edit?: readonly [from: string, to: string];
  /** Rules that back this one up: it takes both away to see the need. */
  readonly also?: readonly string[];
  /** A run that fails without the rule; found with `--without RULE --stop`. */
  readonly seed?: number;
  /** Of the runs with this choice. */
  readonly policy?: 'foreign-keys' | 'shards';
};

const decide = 'shared/conflict/decide.ts';
const follow = 'shared/conflict/follow.ts';
const net = 'shared/conflict/net.ts';
const references = 'shared/conflict/foreign-keys.ts';
const seen = 'shared/conflict/seen.ts';

/** Every guard, to be removed in turn. The last ones are rules of the data path, which the model has copies of. */
export const mutations: readonly Mutation[] = [
  { rule: 'conflict-outcome', seed: 19, file: decide },
  { rule: 'delete-outcome', seed: 52, file: decide },
  { rule: 'answer-outcome', seed: 50, file: decide },
  { rule: 'lost-outcome', seed: 3423, file: decide, edit: ["placed !== 'placed' || always", 'always'] },
  { rule: 'pull-outcome', seed: 1, file: decide },
  { rule: 'displaced-outcome', seed: 608, file: 'shared/conflict/place.ts' },
  { rule: 'ask', seed: 255, file: 'shared/conflict/judge.ts' },
  { rule: 'move-clean', seed: 2119, file: 'shared/conflict/decide-move.ts', edit: ['!local.unseen && ', ''] },
  { rule: 'move-old-outcome', seed: 956, file: 'shared/conflict/decide-move.ts' },
  { rule: 'move-outcome', seed: 1404, file: 'shared/conflict/decide-move.ts' },
  { rule: 'insert-pull', seed: 155, file: follow },
  { rule: 'follow-unseen', seed: 10, file: follow, edit: [' || local.unseen', ''] },
  { rule: 'follow-delete-unseen', seed: 255, file: follow, edit: ['yield* pull(key, [local])', ''] },
  { rule: 'collision-pull', seed: 921, file: follow },
  { rule: 'key-pull', seed: 26032, file: follow },
  { rule: 'move-pull-old', seed: 322, file: follow },
  { rule: 'move-pull-new', seed: 697, file: follow },
  { rule: 'outcome-pull', seed: 88, file: follow, edit: ['yield* pull(key, [local, ...others])', ''] },
  { rule: 'displaced-pull', seed: 80927, file: follow },
  { rule: 'absence-pull', seed: 31, file: follow },
  { rule: 'kept-outcome', seed: 124, policy: 'foreign-keys', file: references },
  { rule: 'dropped-outcome', seed: 99, policy: 'foreign-keys', file: references },
  {
    rule: 'drop-child',
    seed: 75,
    policy: 'foreign-keys',
    file: references,
    edit: ["'drop-child' : 'ask-parent'", "'wait' : 'ask-parent'"],
  },
  { rule: 'kept-answer', seed: 1169, policy: 'foreign-keys', file: follow },
  { rule: 'net-control', seed: 204, file: net },
  {
    rule: 'net-came-back',
    seed: 75752,
    also: ['left-keys'],
    file: net,
    edit: [
      'out.push(entry(change, true, null));',
      'table.set(key, entry(change, false, null)); out.push(table.get(key)!);',
    ],
  },
  { rule: 'set-not-mark', seed: 110382, file: seen, edit: ['hasXid(seen.xids, xid)', 'xid < seen.next'] },
  { rule: 'unseen-by-set', seed: 3220, file: seen, edit: ['!hasXid(seen.xids, xid)', 'xid >= seen.next'] },
  {
    rule: 'modulo',
    seed: 280,
    file: seen,
    edit: ['BigInt.asUintN(32, BigInt(xmin) - seen.floor)', 'BigInt(xmin) - seen.floor'],
  },
  {
    rule: 'floor-of-heartbeat',
    seed: 10597,
    file: 'test/model/apply.ts',
    edit: ['floor, next)', 'next, next)'],
  },
  { rule: 'open-is-unseen', seed: 10, file: 'test/model/executor.ts', edit: [' || isOpen', ''] },
  {
    rule: 'met',
    seed: 11,
    file: 'test/model/executor.ts',
    edit: ['answered && version', 'false && version'],
  },
  { rule: 'skipped', seed: 2248, file: 'test/model/executor.ts' },
  { rule: 'watermark', seed: 11, file: 'test/model/apply.ts' },
  { rule: 'gap', seed: 51, file: 'test/model/apply.ts' },
  {
    rule: 'own-seen-state',
    seed: 68,
    file: 'test/model/apply.ts',
    edit: ['parseSeen(seen)', 'parseSeen(_batchSeen)'],
  },
  {
    rule: 'left-keys',
    seed: 75752,
    also: ['net-came-back'],
    file: 'test/model/apply-net.ts',
    edit: ['!leftKeys.has(net.key) && ', ''],
  },
  {
    rule: 'saved-seen',
    seed: 628,
    file: 'test/model/capture.ts',
    edit: ['this.saved.seen', 'this.database.state.progress'],
  },
  {
    rule: 'progress-in-stream',
    seed: 68,
    file: 'test/model/capture.ts',
    edit: ['parseSeen(text)', 'parseSeen(this.database.state.progress[shard]!)'],
  },
  { rule: 'gate-before', seed: 9, policy: 'shards', file: 'test/model/capture.ts', edit: ['return', ''] },
  { rule: 'gate-behind', seed: 474, policy: 'shards', file: 'test/model/capture.ts', edit: ['break', ''] },
  {
    rule: 'common-seen',
    seed: 97044,
    policy: 'shards',
    file: 'test/model/capture.ts',
    edit: ['reduce(commonSeen)', 'at(0)!'],
  },
  {
    rule: 'floor-of-all',
    seed: 8829,
    policy: 'shards',
    file: 'test/model/apply.ts',
    edit: ['published < known', 'published < floor'],
  },
  {
    rule: 'noted-in-all',
    seed: 9,
    policy: 'shards',
    file: 'test/model/apply.ts',
    edit: ['messages[0]!.whole', 'false'],
  },
  {
    rule: 'missing-only',
    seed: 721,
    policy: 'shards',
    file: 'test/model/apply.ts',
    edit: ['isMissing(key)', 'true'],
  },
];

/**
 * Rules whose absence no run has shown. They are kept: the outcomes spare the other side a pull, and that a run ends
 * where its key is named needs no argument that other rules suffice.
 */
export const redundant: readonly Mutation[] = [
  { rule: 'missing-outcome', file: decide },
  { rule: 'open-key-outcome', file: decide, edit: [' || local.unseen', ''] },
  { rule: 'open-delete-outcome', file: decide },
  { rule: 'truncate-open-outcome', file: decide, edit: ['yield* publish(context, [key])', ''] },
  { rule: 'net-move', file: net },
  { rule: 'net-truncate', file: net },
];

export const findMutation = (rule: string): Mutation => {
  const found = [...mutations, ...redundant].find((mutation) => mutation.rule === rule);
  if (found === undefined)
    throw new Error(`--without is one of ${mutations.map((mutation) => mutation.rule).join(', ')}`);
  return found;
};

export type MutatedResult = { readonly runs: number; readonly failed: number; readonly first: string };

const root = join(import.meta.dirname, '../..');

/** Runs the model on a copy of the code without a rule; stops at the first failed run unless all are wanted. */
export const runMutated = async (
  mutation: Mutation,
  runs: number,
  seed: number,
  all = false,
): Promise<MutatedResult> => {
  const folder = await mkdtemp(join(tmpdir(), 'pgtwin-model-'));
  try {
    for (const part of ['shared/conflict', 'shared/errors', 'test/model'])
      await cp(join(root, part), join(folder, part), { recursive: true });
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    for (const each of [mutation, ...(mutation.also ?? []).map(findMutation)]) {
      const file = join(folder, each.file);
      await writeFile(file, without(each, await readFile(file, 'utf8')));
    }
    return await runModel(folder, runs, seed, all, mutation.policy);
  } finally {
    await rm(folder, { recursive: true });
  }
};

/** The source text without the rule. Throws if the marked line is not there as expected. */
export const without = (mutation: Mutation, text: string): string => {
  const lines = text.split('\n');
  const marked = lines.flatMap((line, index) => (line.endsWith(`// rule: ${mutation.rule}`) ? [index] : []));
  if (marked.length !== 1)
    throw new Error(`${mutation.file} has ${marked.length} lines of rule ${mutation.rule}`);
  const line = lines[marked[0]!]!;
  const edited =
    mutation.edit === undefined ? emptied(line) : line.replace(mutation.edit[0], () => mutation.edit![1]);
  if (edited === line) throw new Error(`the line of rule ${mutation.rule} is not as expected: ${line}`);
  lines[marked[0]!] = edited;
  return lines.join('\n');
};

/** A branch keeps its place with an empty statement. */
const emptied = (line: string): string =>
  /^\s*(else|if) /.test(line) ? line.replace(/^(\s*)else .*/, '$1else ;').replace(/^(\s*)if .*/, '$1') : '';

const runModel = (
  folder: string,
  runs: number,
  seed: number,
  all: boolean,
  policy: string | undefined,
): Promise<MutatedResult> =>
  new Promise((resolve, reject) => {
    const which = ['--seed', String(seed), ...(policy ? ['--policy', policy] : [])];
    const options = [String(runs), ...which, ...(all ? [] : ['--stop'])];
    const child = spawn(process.execPath, [join(folder, 'test/model/main.ts'), ...options], { cwd: folder });
    let out = '';
    let errors = '';
    child.stdout.on('data', (part) => (out += part));
    child.stderr.on('data', (part) => (errors += part));
    child.on('error', reject);
    child.on('close', () => {
      const lines = out.trim().split('\n');
      const last = lines.at(-1) ?? '';
      if (!last.startsWith('{')) return reject(new Error(errors || 'the model said nothing'));
      const { runs: done, failed } = JSON.parse(last) as { runs: number; failed: number };
      resolve({ runs: done, failed, first: lines.length > 1 ? lines[0]! : '' });
    });
  });
