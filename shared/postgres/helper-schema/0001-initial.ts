/**
 * The helper objects of one database, all in schema `pgtwin` (design, sections 4 to 6). Tasks of several pairs share
 * them; each row names its task. Positions sort by bytes (`collate "C"`).
 */
export const initial = /* sql */ `
-- Which tasks use this schema, and as what: release drops the schema with the last one.
create table pgtwin.task (
  task text not null,
  role text not null check (role in ('source', 'destination')),
  since timestamptz not null default now(),
  -- Of a source: every transaction of this database below had ended when the task's slot was made. What they wrote is
  -- not in its stream and counts as seen by the other side. Null as long as there is no slot.
  slot_xmin text,
  primary key (task, role)
);

-- One row per task and shard at the task's destination: what has been applied. The first row change of every apply
-- transaction, so exactly-once commits with the data, and the other capture knows the transaction as apply's own.
create table pgtwin.apply_progress (
  task text not null,
  shard int not null,
  generation bigint not null,
  epoch bigint not null,
  position text collate "C" not null,
  end_lsn pg_lsn not null,
  source_time timestamptz,
  -- What this transaction adds to what this side has seen of the other: xids, and the floor (conflict/seen.ts).
  seen text,
  -- Recent xids of apply itself on this database, from the floor on.
  own text,
  -- Set by apply when messages are missing: re-send what is above the position in an epoch above this one.
  resend_epoch bigint not null default 0,
  transactions bigint not null default 0,
  changes bigint not null default 0,
  conflicts bigint not null default 0,
  applied_at timestamptz not null default now(),
  primary key (task, shard)
) with (fillfactor = 50);

-- Xids of apply's own transactions on this database: rows that they wrote came from the other side. Forgotten when the
-- other side's floor has passed them; the newest are in the progress row too.
create table pgtwin.apply_xid (
  task text not null,
  xid int8 not null,
  primary key (task, xid)
);

-- Updated by the capture of the task at its source; carries the floor of transaction ids through the stream.
create table pgtwin.heartbeat (
  task text primary key,
  beat bigint not null default 0,
  at timestamptz not null default now(),
  -- Named apart from the system columns.
  xid_floor text,
  xid_next text
) with (fillfactor = 50);

-- Control rows of the conflict protocol; published with insert only, so that cleaning sends nothing.
create table pgtwin.pull (
  id bigint generated always as identity primary key,
  task text not null,
  relation text not null,
  key text[] not null,
  -- Of a follower's open pull: xmins of the rows that were in the way, and whether more of the key was skipped since.
  met text[],
  skipped bool not null default false,
  xid text not null default pg_current_xact_id()::text,
  at timestamptz not null default now()
);
create table pgtwin.answer (
  id bigint generated always as identity primary key,
  task text not null,
  pull_id bigint not null,
  relation text not null,
  key text[] not null,
  row_text text[],
  version_time bigint,
  version_side text,
  xid text not null default pg_current_xact_id()::text,
  at timestamptz not null default now()
);
create table pgtwin.outcome (
  id bigint generated always as identity primary key,
  task text not null,
  relation text not null,
  key text[] not null,
  row_text text[],
  pull_id bigint,
  -- Hybrid time (microseconds since 1970) and side of the version that won.
  version_time bigint,
  version_side text,
  xid text not null default pg_current_xact_id()::text,
  at timestamptz not null default now()
);
create index outcome_key on pgtwin.outcome (task, relation, key);
create index pull_key on pgtwin.pull (task, relation, key);

-- Written first in each copy transaction: marks it as an applied one without a lock that all chunks would share.
create table pgtwin.copy_chunk (
  task text not null,
  generation bigint not null,
  relation text not null,
  chunk int not null,
  copied_rows bigint not null default 0,
  xid text not null default pg_current_xact_id()::text,
  at timestamptz not null default now(),
  primary key (task, generation, relation, chunk)
);

-- What conflicts there were and what was done. Rows in full, or their hashes where the task says so.
create table pgtwin.conflict (
  id bigint generated always as identity primary key,
  task text not null,
  at timestamptz not null default now(),
  position text collate "C" not null,
  kind text not null,
  policy text not null,
  result text not null,
  schema_name text not null,
  table_name text not null,
  key jsonb not null,
  source_row jsonb,
  destination_row jsonb,
  source_time timestamptz,
  destination_time timestamptz,
  constraint_name text
);
create index conflict_task on pgtwin.conflict (task, id);
`;
