/** What the conflict protocol and its log need further. */
export const conflicts = /* sql */ `
-- The columns that row_text stands for: the sender's, whose order need not be the receiver's.
alter table pgtwin.outcome add column column_names text[];
alter table pgtwin.answer add column column_names text[];

alter table pgtwin.conflict
  add column generation bigint,
  -- Of the first change that the conflict stands for, where several of one key were netted; position is the last's.
  add column first_position text collate "C",
  -- Of kind "unsure": what it is if it is one.
  add column suspected_kind text,
  add column source_side text,
  add column destination_side text,
  -- SHA-256 of the versions, where the task keeps no rows in the log.
  add column source_hash text,
  add column destination_hash text;
create index conflict_time on pgtwin.conflict (task, at);
create index conflict_stopped on pgtwin.conflict (task, position) where result = 'stopped';

-- How many conflicts of each kind a run had; the log itself is pruned.
create table pgtwin.conflict_count (
  task text not null,
  generation bigint not null,
  kind text not null,
  conflicts bigint not null,
  primary key (task, generation, kind)
);

-- Deletions by users at the arbiter, for onDeleted "by-time": when a row that an update finds missing was deleted.
-- Forgotten when the other side's floor has passed them.
create table pgtwin.tombstone (
  id bigint generated always as identity primary key,
  task text not null,
  relation text not null,
  key text[] not null,
  xid text not null default pg_current_xact_id()::text,
  at timestamptz not null default now()
);
create index tombstone_key on pgtwin.tombstone (task, relation, key);

-- Arguments: task, relation as the stream names it, key columns. Values are printed as the stream prints them.
create function pgtwin.note_deletion() returns trigger language plpgsql security definer
  set search_path = '' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set extra_float_digits = '3'
  set bytea_output = 'hex' set timezone = 'UTC' set lc_monetary = 'C'
as $body$
begin
  execute (
    select 'insert into pgtwin.tombstone (task, relation, key) values ($2, $3, array['
           || string_agg(format('format(''%%s'', $1.%I)', name), ', ' order by n) || '])'
      from unnest(tg_argv[2:]) with ordinality k(name, n)
  ) using old, tg_argv[0], tg_argv[1];
  return null;
end
$body$;
revoke all on function pgtwin.note_deletion() from public;
`;
