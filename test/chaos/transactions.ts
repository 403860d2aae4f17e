import type { Random } from '../model/random.ts';

export type Side = 'a' | 'b';

/** What one writer does next: decided by the seed alone, never by what the database holds. */
export type Transaction = {
  /** One: a statement by itself. More: in `begin` and `commit`. */
  readonly statements: readonly string[];
  readonly pauseMs: number;
};

const KEYS = 8;

/** A random transaction on the hot tables. */
export function hotTransaction(random: Random, side: Side, n: number): Transaction {
  const pauseMs = random.chance(0.2) ? 0 : random.below(25);
  const tag = `${side}${n}`;
  const one = (): string => random.pick(statementsOf(random, tag));
  const shape = random.below(100);
  if (shape < 55) return { statements: [one()], pauseMs };
  if (shape < 65) return { statements: [one(), one(), one()].slice(0, 2 + random.below(2)), pauseMs };
  if (shape < 75) return { statements: savepoints(random, one), pauseMs };
  if (shape < 82) return { statements: swapped(random), pauseMs };
  if (shape < 87) return { statements: [ranks(random)], pauseMs };
  if (shape < 91) return { statements: [one(), `select pg_sleep(0.${1 + random.below(3)})`, one()], pauseMs };
  if (shape < 95) return { statements: back(random, tag), pauseMs };
  return { statements: [random.chance(0.3) ? 'truncate scratch' : one()], pauseMs };
}

/** A transaction of a side's own rows: whatever happens, it counts exactly once. */
export function ledgerTransaction(random: Random, side: Side, n: number): Transaction {
  const counter = 2 * random.below(5) + (side === 'b' ? 1 : 0);
  const id = 1 + random.below(4);
  const by = random.below(9) - 3;
  // A row that both sides count in: together, or each in a column of its own.
  const [shared, both] = random.pick([
    ['null, null, null', ''],
    [`${id}, ${by}, null`, `update tally set n = n + ${by} where id = ${id}`],
    [`null, null, ${id}`, `update halves set ${side} = ${side} + 1 where id = ${id}`],
  ]);
  return {
    statements: [
      `insert into ledger values ('${side}', ${n}, ${counter}, ${shared}, repeat('${side}', ${random.below(40)}))`,
      `update counter set n = n + 1 where id = ${counter}`,
      ...(both ? [both] : []),
    ],
    pauseMs: 5 + random.below(30),
  };
}

const padOf = (random: Random, tag: string): string =>
  random.pick(['null', `'${tag}'`, `repeat('${tag}.', ${600 + random.below(300)})`]);
const uniqueOf = (random: Random): string => (random.chance(0.2) ? 'null' : `'u${1 + random.below(10)}'`);
const numberOf = (random: Random): string => (random.chance(0.2) ? 'null' : `${1 + random.below(10)}`);

/** One of each kind, on random keys. */
function statementsOf(random: Random, tag: string): string[] {
  const id = 1 + random.below(KEYS);
  const other = 1 + random.below(KEYS + 4);
  const [u, v] = [uniqueOf(random), numberOf(random)];
  const [g, h] = [1 + random.below(3), random.pick(['x', 'y', 'z'])];
  const s = 1 + random.below(12);
  return [
    `insert into item values (${id}, 0, ${u}, ${v}, ${padOf(random, tag)}) on conflict do nothing`,
    `insert into item values (${other}, 0, ${u}, null, ${padOf(random, tag)})`,
    `insert into item values (${id}, 1, null, null, ${padOf(random, tag)})
       on conflict (id) do update set n = item.n + 1, pad = excluded.pad`,
    `update item set n = n + 1 where id = ${id}`,
    `update item set n = n + 1 where id = ${id}`,
    `update item set n = n + 10 where id between ${id} and ${id + 2}`,
    `update item set pad = ${padOf(random, tag)} where id = ${id}`,
    `update item set u = ${u} where id = ${id}`,
    `update item set v = ${v}, n = n + 1 where id = ${id}`,
    `update item set code = '${random.pick(['C', 'c'])}${1 + random.below(6)}' where id = ${id}`,
    `update item set live = not live where id between ${id} and ${id + 1}`,
    `update item set id = ${other} where id = ${id}`,
    `update item set id = id + 20 where id = ${id}; update item set id = ${other} where id = ${id + 20}`,
    `delete from item where id = ${id}`,
    `delete from item where id = ${other} or id > 20`,
    `insert into part values (${g}, '${h}', 0, '${tag}', ${padOf(random, tag)}) on conflict do nothing`,
    `update part set n = n + 1 where g = ${g} and h = '${h}'`,
    `update part set w = '${tag}' where g = ${g}`,
    `update part set h = '${random.pick(['x', 'y', 'z'])}', n = n + 1 where g = ${g} and h = '${h}'`,
    `delete from part where g = ${g} and h = '${h}'`,
    `insert into scratch values (${s}, 1, '${tag}') on conflict do nothing`,
    `update scratch set n = n + 1, t = '${tag}' where id = ${s}`,
    `delete from scratch where id = ${s}`,
    `insert into rank values (${1 + random.below(8)}, ${1 + random.below(8)}) on conflict (id) do nothing`,
    `update rank set n = n + 1 where id = ${1 + random.below(8)}`,
    `delete from rank where id = ${1 + random.below(8)}`,
    ...family(random, tag),
  ];
}

/** On parents and children; what breaks a foreign key is refused here. */
function family(random: Random, tag: string): string[] {
  const [owner, pet] = [1 + random.below(5), 1 + random.below(8)];
  return [
    `insert into owner values (${owner}, '${tag}') on conflict do nothing`,
    `delete from owner where id = ${owner} and not exists (select from pet where owner = ${owner})`,
    `delete from pet where owner = ${owner}; delete from owner where id = ${owner}`,
    `insert into pet values (${pet}, ${owner}, '${tag}') on conflict do nothing`,
    `update pet set owner = ${owner}, t = '${tag}' where id = ${pet}`,
    `delete from pet where id = ${pet}`,
    `insert into leash values (${pet}, ${1 + random.below(3)}, '${tag}') on conflict do nothing`,
  ];
}

/** Subtransactions: their xids are in the rows, and in no Begin. */
function savepoints(random: Random, one: () => string): string[] {
  const inner = ['savepoint s1', one(), random.pick(['rollback to s1', 'release s1'])];
  const nested = ['savepoint s1', one(), 'savepoint s2', one(), 'rollback to s2', one(), 'release s1'];
  return [one(), ...(random.chance(0.3) ? nested : inner), one()];
}

/** Two rows change their unique values, through NULL. */
function swapped(random: Random): string[] {
  const one = 1 + random.below(KEYS);
  const other = 1 + ((one + random.below(KEYS - 1)) % KEYS);
  const keep = (name: string, id: number): string =>
    `select set_config('chaos.${name}', coalesce((select u from item where id = ${id}), ''), true)`;
  const take = (name: string, id: number): string =>
    `update item set u = nullif(current_setting('chaos.${name}'), '') where id = ${id}`;
  return [
    keep('one', one),
    keep('other', other),
    `update item set u = null where id in (${one}, ${other})`,
    take('other', one),
    take('one', other),
  ];
}

/** The same in one statement, under a deferred constraint. */
function ranks(random: Random): string {
  const one = 1 + random.below(6);
  const other = 1 + random.below(6);
  const place = (id: number): string => `(select place from rank where id = ${id})`;
  return `update rank set place = case id when ${one} then ${place(other)} else ${place(one)} end
    where id in (${one}, ${other}) and (select count(*) from rank where id in (${one}, ${other})) = 2`;
}

/** Deleted and inserted again, or the other way round. */
function back(random: Random, tag: string): string[] {
  const id = 1 + random.below(KEYS);
  const remove = `delete from item where id = ${id}`;
  const insert = `insert into item values (${id}, 100, null, ${numberOf(random)}, ${padOf(random, tag)}) on conflict do nothing`;
  const update = `update item set n = n + 1 where id = ${id}`;
  return random.pick([
    [remove, insert],
    [remove, insert, update],
    [insert, update, remove],
    [remove, insert, remove],
  ]);
}
