import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Difference } from '../support/tables.ts';
import { readHistory } from './history.ts';
import type { Verdict } from './verdict.ts';
import type { World } from './world.ts';

const output = join(import.meta.dirname, '../output');
const SHOWN = 5;

/** What was logged, in a folder that is kept. */
export function keepLog(name: string, lines: readonly string[], print: (line: string) => void): string {
  const folder = join(output, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'log.jsonl'), `${lines.join('\n')}\n`);
  print(`kept in ${folder}`);
  return folder;
}

/** Keeps all that tells why a run failed, and says the most important of it. */
export async function keepFailure(options: {
  readonly world: World;
  readonly name: string;
  readonly faults: readonly string[];
  readonly lines: readonly string[];
  readonly verdict: Verdict | undefined;
  readonly print: (line: string) => void;
}): Promise<void> {
  const { world, name, faults, lines, verdict, print } = options;
  const folder = keepLog(name, lines, print);
  const keep = (file: string, content: readonly string[]): void =>
    writeFileSync(join(folder, file), `${content.join('\n')}\n`);
  keep('faults.txt', faults);
  keep('verdict.json', [JSON.stringify(verdict ?? null, null, 2)]);
  const sides = [world.twin.a, world.twin.b];
  const controls = (await Promise.all(sides.map(controlsOf))).flat();
  const conflicts = await world.twin.conflicts();
  keep('controls.jsonl', controls);
  keep(
    'conflicts.jsonl',
    conflicts.map((line) => JSON.stringify(line)),
  );
  for (const side of sides) {
    const progress = await side.superuserRows('select * from pgtwin.apply_progress');
    keep(
      `progress-${side.side}.jsonl`,
      progress.map((row) => JSON.stringify(row)),
    );
    keep(`history-${side.side}.txt`, await readHistory(side.superuserUrl));
  }
  for (const line of verdict?.lost.slice(0, SHOWN) ?? []) print(line);
  for (const difference of verdict?.differences.slice(0, SHOWN) ?? []) {
    const { table, key, a, b } = difference;
    print(`${table} ${key.join(', ')} differs`);
    print(`  a: ${short(a)}`);
    print(`  b: ${short(b)}`);
    for (const line of controls.filter((text) => isOf(text, difference)).slice(-SHOWN)) print(`  ${line}`);
    for (const line of conflicts.filter((each) => isConflictOf(each, difference)).slice(-SHOWN))
      print(`  ${short(line)}`);
  }
}

/** What the parts complained of, most frequent first: `12 x warn messages are missing`. */
export function complaints(lines: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const found = /"level":"(warn|error)"/.exec(line);
    if (!found) continue;
    const { text, message, code, folded } = JSON.parse(line) as Record<string, string | undefined>;
    const what = [found[1], text ?? message, code].filter(Boolean).join(' ');
    counts.set(what, (counts.get(what) ?? 0) + 1 + Number(folded ?? 0));
  }
  return [...counts].sort((a, b) => b[1] - a[1]).map(([what, count]) => `${count} x ${what}`);
}

/** Errors that nobody has given a name: a bug, or one that is not translated where it comes from. */
export const nameless = (lines: readonly string[]): string[] =>
  lines.filter((line) => /"code":"internal"/.test(line) && /"level":"(warn|error)"/.test(line));

const isOf = (control: string, { table, key }: Difference): boolean =>
  control.includes(table.split('.').at(-1)!) && control.includes(JSON.stringify(key));

const isConflictOf = (line: Record<string, unknown>, { table, key }: Difference): boolean =>
  line['table_name'] === table.split('.').at(-1) &&
  JSON.stringify(Object.values(line['key'] as object)) === JSON.stringify(key);

async function controlsOf(side: World['twin']['a']): Promise<string[]> {
  const rows = await side.superuserRows<{ line: string }>(/* sql */ `
    select '${side.side} ' || kind || ' ' || line as line from (
      select 'outcome' as kind, id, to_jsonb(o)::text as line from pgtwin.outcome o
      union all select 'pull', id, to_jsonb(p)::text from pgtwin.pull p
      union all select 'answer', id, to_jsonb(r)::text from pgtwin.answer r) every order by kind, id`);
  return rows.map(({ line }) => (line.length > 600 ? `${line.slice(0, 600)}…` : line));
}

const short = (value: unknown): string =>
  JSON.stringify(value, (_, part) =>
    typeof part === 'string' && part.length > 60 ? `${part.slice(0, 12)}…${part.length}` : part,
  ) ?? 'no row';
