import { expect, test } from 'vitest';
import { openDatabase } from '../support/database.ts';
import { type RanCommand, runCommand } from '../support/run-command.ts';
import { differences } from '../support/tables.ts';
import { openPlatform } from '../support/twin.ts';
import { until } from '../support/wait.ts';

const schema = `
  create table item (id int primary key, t text);
  insert into item select g, 'row ' || g from generate_series(1, 500) g`;

test('the whole procedure, from a new pair to nothing left, by commands alone', {
  timeout: 240_000,
}, async () => {
  await using platform = await openPlatform();
  await using a = await openDatabase('a', { schema, mustEndClean: true });
  await using b = await openDatabase('b', { mustEndClean: true });
  const [, , token = ''] = (platform.platform.env['PGTWIN_API_TOKENS'] ?? '').split(':');
  const env = { PGTWIN_API: platform.platform.apiUrl, PGTWIN_TOKEN: token };
  const all: string[] = [];
  const run = async (line: string, more: Record<string, string> = {}): Promise<RanCommand> => {
    const ran = await runCommand(line, { ...env, ...more });
    all.push(`$ pgtwin ${line}\n${ran.out}${ran.err}(${ran.code})`);
    return ran;
  };
  /** Runs what must succeed. */
  const ok = async (line: string, more?: Record<string, string>): Promise<string> => {
    const ran = await run(line, more);
    if (ran.code !== 0) throw new Error(`pgtwin ${line}: ${ran.code}\n${ran.out}${ran.err}`);
    return ran.out;
  };
  // biome-ignore lint/suspicious/noExplicitAny: answers of every shape are looked into
  const json = async (line: string): Promise<any> => JSON.parse(await ok(`${line} --json`));

  const bare = (database: { url: string; password: string }) =>
    database.url.replace(`:${database.password}@`, '@');
  const created = await run(`pair create --name shop --a ${bare(a)} --b ${bare(b)}`);
  expect(created).toMatchObject({ code: 2, err: expect.stringMatching(/side a needs a password/) });
  const passwords = { PGTWIN_A_PASSWORD: a.password, PGTWIN_B_PASSWORD: b.password };
  await ok(`pair create --name shop --shards 1 --a ${bare(a)} --b ${bare(b)}`, passwords);
  const { pairs } = await json('pair list');
  expect(pairs).toMatchObject([{ name: 'shop', sides: { a: { database: a.name, tls: 'disable' } } }]);
  const id = pairs[0].id as string;
  expect(await ok('test-connectivity')).toMatch(/side a +ok +PostgreSQL 1\d.*\nside b +ok/);

  expect(await ok('preview --include public')).toMatch(/^forward: 1 table\(s\)\n {2}public.item\n/);
  await ok('configure shop --include public --policy task-failed --set retryOtherMinutes=1');
  const checked = await run('precheck shop');
  expect(checked.out).toMatch(/^forward {2}a -> b {3}\d+ of \d+ items passed, 1 tables: /);
  if (checked.code !== 0) await ok('precheck shop --ignore-alerts');
  expect(await ok('precheck shop --last')).toMatch(/reverse {2}b -> a .*: ready/);

  const started = await ok('start shop --wait --timeout 120');
  expect(started).toMatch(/reverse +b -> a +Running/);
  expect(Object.values((await json('task status')).tasks)).toMatchObject([
    { state: 'Running' },
    { state: 'Running' },
  ]);
  expect(await ok('task status --task forward --tables')).toMatch(
    /forward +public.item +done +\[#+\] 100.0 % +500\n/,
  );
  await a.query(`update item set t = 'from a' where id = 1`);
  await b.query(`update item set t = 'from b' where id = 2`);
  const equal = () =>
    until('both sides to be equal', async (saw) => {
      const found = await differences(a, b);
      saw(found);
      return found.length === 0;
    });
  await equal();
  expect(await b.rows('select t from item where id < 3 order by id')).toEqual([
    { t: 'from a' },
    { t: 'from b' },
  ]);
  expect((await run('resume shop')).err).toMatch(/"resume" is not allowed in state Running/);

  // A conflict that stops the forward task, and a person's choice for it.
  await ok('pause shop --wait');
  await a.query(`update item set t = 'a wins' where id = 3`);
  await b.query(`update item set t = 'b loses' where id = 3`);
  await ok('resume shop');
  await ok('task status --task forward --until Failed --timeout 60');
  expect(await ok('task status')).toMatch(/forward +a -> b +Failed\n[\s\S]*error +conflict-stops-task/);
  const { conflicts } = await json('conflicts shop --table item');
  expect(conflicts).toMatchObject([
    { task: 'forward', table: 'item', policy: 'task-failed', key: { id: '3' } },
  ]);
  expect(await ok(`conflicts show ${conflicts[0].id}`)).toMatch(/source .*a wins.*\n.*destination .*b loses/);
  await ok(`conflicts resolve shop ${conflicts[0].id} --take source`);
  await ok('retry shop --wait --timeout 60');
  await equal();
  expect(await b.rows('select t from item where id = 3')).toEqual([{ t: 'a wins' }]);

  expect(await ok('events shop --task forward --limit 200')).toMatch(/Running -> Failed/);
  expect(await ok('release shop --yes --wait')).toMatch(
    /forward +a -> b +Released\n[\s\S]*reverse +b -> a +Released/,
  );
  expect([await a.leftovers(), await b.leftovers()]).toEqual([[], []]);
  expect(await ok(`pair delete ${id} --yes --wait`)).toMatch(/is gone/);
  expect(await ok('pair list')).toMatch(/There is no pair yet/);
  for (const secret of [a.password, b.password, token]) expect(all.join('\n')).not.toContain(secret);
});
