import { ident, literal, qualified } from './ident.ts';
import { type Queryable, readRows } from './rows.ts';

/* Where sequences stand, and how far those of another database must be moved so that they give no value again. */

type Name = { readonly schema: string; readonly name: string };

/** A sequence as it stands. Numbers are text: they have 64 bits. */
export type SequenceState = Name & {
  readonly last: string;
  /** False: `last` was not given out yet, it comes next. */
  readonly called: boolean;
  readonly increment: string;
  readonly least: string;
  readonly most: string;
  readonly cycle: boolean;
  /** Columns of whole numbers that it fills. */
  readonly columns: readonly (Name & { readonly column: string })[];
};

const namesSql = /* sql */ `
with used as (
  select d.objid as sequence, d.refobjid as relation, d.refobjsubid as number from pg_depend d
   where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
     and d.refobjsubid > 0
  union
  select d.refobjid, f.adrelid, f.adnum from pg_attrdef f
  join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid and d.refclassid = 'pg_class'::regclass
    and d.refobjid <> f.adrelid
), asked as (
  select c.oid from unnest($1::text[], $2::text[]) t (schema, name)
  join pg_namespace n on n.nspname = t.schema
  join pg_class c on c.relnamespace = n.oid and c.relname = t.name
)
select n.nspname as schema, s.relname as name, q.seqincrement::text as increment, q.seqmin::text as least,
  q.seqmax::text as most, q.seqcycle as cycle,
  coalesce((select jsonb_agg(jsonb_build_object('schema', tn.nspname, 'name', t.relname, 'column', a.attname)
      order by tn.nspname collate "C", t.relname collate "C", a.attnum)
    from used u join pg_class t on t.oid = u.relation and t.relkind in ('r', 'p')
    join pg_namespace tn on tn.oid = t.relnamespace
    join pg_attribute a on a.attrelid = u.relation and a.attnum = u.number
      and a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
   where u.sequence = s.oid), '[]') as columns
from pg_class s
join pg_namespace n on n.oid = s.relnamespace
join pg_sequence q on q.seqrelid = s.oid
where s.relkind = 'S' and s.relpersistence <> 't'
  and (exists (select from used u join asked on asked.oid = u.relation where u.sequence = s.oid)
    or n.nspname = any ($3::text[]) and not exists (select from used u where u.sequence = s.oid))
order by n.nspname collate "C", s.relname collate "C"`;

const BATCH = 200;

/** The sequences that fill columns of the tables, and those of the schemas that fill none, with where they stand. */
export async function readSequences(
  client: Queryable,
  tables: readonly Name[],
  schemas: readonly string[],
): Promise<SequenceState[]> {
  const found = await readRows<Omit<SequenceState, 'last' | 'called'>>(client, namesSql, [
    tables.map(({ schema }) => schema),
    tables.map(({ name }) => name),
    [...schemas],
  ]);
  const states: SequenceState[] = [];
  for (let from = 0; from < found.length; from += BATCH) {
    const batch = found.slice(from, from + BATCH);
    const parts = batch.map(
      ({ schema, name }, place) => /* sql */ `
        select ${place} as place, last_value::text as last, is_called as called from ${qualified(schema, name)}`,
    );
    const rows = await readRows<{ place: number; last: string; called: boolean }>(
      client,
      parts.join(' union all '),
    );
    states.push(...rows.map(({ place, last, called }) => ({ ...batch[place]!, last, called })));
  }
  return states;
}

/** The furthest value of the columns that a sequence fills, in its direction; null: they are empty. */
export async function furthestValue(
  client: Queryable,
  { columns, increment }: Pick<SequenceState, 'columns' | 'increment'>,
): Promise<bigint | null> {
  const down = increment.startsWith('-');
  let furthest: bigint | null = null;
  for (const { schema, name, column } of columns) {
    const { rows } = await client.query(
      /* sql */ `select ${down ? 'min' : 'max'}(${ident(column)})::text as value from ${qualified(schema, name)}`,
    );
    const text = rows[0]?.value as string | null;
    if (text === null) continue;
    const value = BigInt(text);
    if (furthest === null || (down ? value < furthest : value > furthest)) furthest = value;
  }
  return furthest;
}

/** The value that a sequence gives next. */
export const nextOf = ({ last, called, increment }: Omit<SequenceState, keyof Name | 'columns'>): bigint =>
  called ? BigInt(last) + BigInt(increment) : BigInt(last);

export type SequenceMove = Name & {
  readonly old: string;
  readonly new: string;
  /** Null: it is far enough. */
  readonly sql: string | null;
  readonly note?: string;
};

/**
 * How a sequence must move so that it gives no value that is taken (pure): to its own next value beyond all of them.
 * It keeps its own steps, so that one which gives odd numbers goes on to, and never goes back.
 */
export function moveOf(sequence: SequenceState, taken: readonly (bigint | null)[]): SequenceMove {
  const { schema, name } = sequence;
  const next = nextOf(sequence);
  const increment = BigInt(sequence.increment);
  const beyond = taken.flatMap((value) => {
    if (value === null) return [];
    const steps = (value - next) / increment;
    // Division cuts towards zero: what is not past the next value needs no step.
    return (increment > 0n ? value < next : value > next) ? [] : [next + (steps + 1n) * increment];
  });
  const wanted = beyond.reduce((one, other) => (increment > 0n === one < other ? other : one), next);
  const old = String(next);
  if (wanted === next) return { schema, name, old, new: old, sql: null };
  if (wanted > BigInt(sequence.most) || wanted < BigInt(sequence.least)) {
    const note = sequence.cycle
      ? 'It begins anew at its end, so no value is safe: left as it is.'
      : 'It has no value left beyond those that are taken: give it a larger range.';
    return { schema, name, old, new: old, sql: null, note };
  }
  return { schema, name, old, new: String(wanted), sql: advanceSql(sequence, wanted) };
}

/** Sets the value that comes next, unless the sequence has gone further by itself meanwhile. */
function advanceSql({ schema, name, increment }: SequenceState, next: bigint): string {
  const down = increment.startsWith('-');
  const sequence = qualified(schema, name);
  return (
    `select pg_catalog.setval(${literal(sequence).trim()}::pg_catalog.regclass, ${next}, false) from ${sequence} ` +
    `where case when is_called then last_value + (${increment}) else last_value end ${down ? '>' : '<'} ${next}`
  );
}
