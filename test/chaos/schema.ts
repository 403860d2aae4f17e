/**
 * Hot tables: three unique keys beside the key, one of them partial, and values that are TOASTed; a compound key with REPLICA IDENTITY FULL; a
 * deferrable unique key; one that is truncated. And those that must be exact: every `ledger` transaction writes one row
 * of its own side and counts it in one of that side's counters, in a tally of both, and in its side's half of a row.
 */
export const schema = /* sql */ `
  create table item (id int primary key, n int not null default 0, u text unique, v int unique, pad text,
                     code text, live bool not null default true);
  create unique index on item (lower(code)) where live;
  alter table item alter column pad set storage external;
  insert into item select g, 0, 'u' || g, g, case when g % 2 = 0 then repeat('0', 3000) end from generate_series(1, 8) g;

  create table part (g int, h text, n int not null default 0, w text, pad text, primary key (g, h));
  alter table part alter column pad set storage external;
  alter table part replica identity full;
  insert into part select g, h, 0, 'w', repeat('p', 2500) from generate_series(1, 3) g, unnest('{x,y}'::text[]) h;

  create table rank (id int primary key, place int unique deferrable initially deferred, n int not null default 0);
  insert into rank select g, g from generate_series(1, 6) g;

  create table scratch (id int primary key, n int not null default 0, t text);
  insert into scratch select g, 0, 's' from generate_series(1, 10) g;

  create table ledger (side text, n int, counter int not null, tally int, by int, half int, pad text,
                       primary key (side, n));
  create table counter (id int primary key, n bigint not null default 0);
  insert into counter select g from generate_series(0, 9) g;
  create table tally (id int primary key, n bigint not null default 0);
  alter table tally replica identity full;
  insert into tally select g from generate_series(1, 4) g;
  create table halves (id int primary key, a bigint not null default 0, b bigint not null default 0);
  alter table halves replica identity full;
  insert into halves select g from generate_series(1, 4) g;`;

/** Parents, children, and children of those that go along with them. Without foreign keys it is three tables like others. */
export const familySchema = (foreignKeys: boolean): string => {
  const references = (sql: string): string => (foreignKeys ? `references ${sql}` : '');
  return /* sql */ `
  create table owner (id int primary key, t text);
  create table pet (id int primary key, owner int ${references('owner')}, t text);
  create table leash (pet int ${references('pet on delete cascade')}, n int, t text, primary key (pet, n));
  insert into owner select g, 'o' from generate_series(1, 5) g;
  insert into pet select g, 1 + g % 5, 'p' from generate_series(1, 6) g;`;
};

/** Tables of the conflict protocol and of the streams, for the history that is kept of a failed run. */
export const watched = [
  'item',
  'part',
  'rank',
  'scratch',
  'ledger',
  'counter',
  'tally',
  'halves',
  'owner',
  'pet',
  'leash',
  'pgtwin.apply_progress',
  'pgtwin.heartbeat',
  'pgtwin.outcome',
  'pgtwin.pull',
  'pgtwin.answer',
] as const;
