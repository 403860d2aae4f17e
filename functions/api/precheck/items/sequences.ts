import { ident, qualified } from '../../../../shared/postgres/ident.ts';
import { mappingOf } from '../../../../shared/task/mapping.ts';
import type { TableName } from '../../../../shared/task/schema.ts';
import { keyOfTable, selectTables } from '../../../../shared/task/selection.ts';
import { alert, type Check, count, failed, fixOn, nameOf, passed } from '../check.ts';
import type { CheckedDatabase } from '../database.ts';

/** A sequence that fills a column of a key; numbers in text, they have 64 bits. */
type KeySequence = TableName & {
  readonly table: TableName;
  readonly column: string;
  readonly identity: boolean;
  readonly increment: string;
  /** The value that it gives next. */
  readonly next: string;
};

// By sets, not column by column: a task may have 5,000 tables.
const sequencesSql = /* sql */ `
with asked as materialized (
  select c.oid, n.nspname as schema, c.relname as name
  from unnest($1::text[], $2::text[]) t (schema, name)
  join pg_namespace n on n.nspname = t.schema
  join pg_class c on c.relnamespace = n.oid and c.relname = t.name
),
used (relation, number, sequence) as (
  select d.refobjid, d.refobjsubid, d.objid from asked
  join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = asked.oid
    and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i') and d.refobjsubid > 0
  union
  select f.adrelid, f.adnum, d.refobjid from asked
  join pg_attrdef f on f.adrelid = asked.oid
  join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid and d.refclassid = 'pg_class'::regclass
    and d.refobjid <> asked.oid
)
select sn.nspname as schema, s.relname as name, jsonb_build_object('schema', asked.schema, 'name', asked.name) as table,
  a.attname as column, a.attidentity <> '' as identity, q.seqincrement::text as increment
from used
join asked on asked.oid = used.relation
join pg_attribute a on a.attrelid = used.relation and a.attnum = used.number and not a.attisdropped
join pg_sequence q on q.seqrelid = used.sequence
join pg_class s on s.oid = q.seqrelid
join pg_namespace sn on sn.oid = s.relnamespace
-- The case keeps the planner from asking for the privilege on what is no sequence.
where case when s.relkind = 'S' then has_sequence_privilege(s.oid, 'select') end
  and exists (select from pg_index i where i.indrelid = used.relation and i.indisunique and used.number = any (i.indkey))
order by 1, 2`;

const BATCH = 200;

/** The catalogue does not tell where a sequence stands after RESTART: that is in the sequence itself. */
async function readSequences(of: CheckedDatabase, tables: readonly TableName[]): Promise<KeySequence[]> {
  const names = tables.map((each) => each.name);
  const found = await of.rows<Omit<KeySequence, 'next'>>(sequencesSql, [tables.map((t) => t.schema), names]);
  const whole: KeySequence[] = [];
  for (let from = 0; from < found.length; from += BATCH) {
    const batch = found.slice(from, from + BATCH);
    const parts = batch.map(
      ({ schema, name, increment }, index) => /* sql */ `
        select ${index} as place, (case when is_called then last_value + ${BigInt(increment)} else last_value end)::text as next
        from ${qualified(schema, name)}`,
    );
    const rows = await of.rows<{ place: number; next: string }>(parts.join(/* sql */ ` union all `));
    whole.push(...rows.map(({ place, next }) => ({ ...batch[place]!, next })));
  }
  return whole;
}

const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? (a < 0n ? -a : a) : gcd(b, a % b));

/** Two arithmetic progressions meet exactly if their starts differ by a multiple of the steps' common divisor. */
export function willCollide(
  one: Pick<KeySequence, 'next' | 'increment'>,
  other: Pick<KeySequence, 'next' | 'increment'>,
): boolean {
  const [a, b] = [BigInt(one.increment), BigInt(other.increment)];
  return (BigInt(one.next) - BigInt(other.next)) % gcd(a, b) === 0n;
}

/** The next value that is odd (or even) and not below. */
const nextOf = (parity: 0n | 1n, least: bigint): bigint => (least % 2n === parity ? least : least + 1n);

function fixOf(sequence: KeySequence, parity: 0n | 1n, least: bigint): string {
  const restart = nextOf(parity, least);
  const table = qualified(sequence.table.schema, sequence.table.name);
  return sequence.identity
    ? `alter table ${table} alter column ${ident(sequence.column)} set increment by 2 restart with ${restart};`
    : `alter sequence ${qualified(sequence.schema, sequence.name)} increment by 2 restart with ${restart};`;
}

export const sequences: Check = {
  item: 'sequences',
  title: 'Sequences of both sides give different keys',
  run: async ({ opposite, config, source, destination, tables, expected, there: named, onDestination }) => {
    if (!opposite) return passed('Only one direction is configured: only one side gives keys.');
    const { column: columnThere } = mappingOf(config.objects.mapping);
    const back = new Set(
      selectTables(opposite.config.objects, [...tables, ...expected].map(named)).map(keyOfTable),
    );
    const both = [...tables, ...expected].filter((table) => back.has(keyOfTable(named(table))));
    const [here, there] = await Promise.all([
      readSequences(source, both),
      readSequences(destination, both.map(named)),
    ]);
    const others = new Map(there.map((each) => [`${keyOfTable(each.table)}\0${each.column}`, each]));
    const collisions = here.flatMap((one) => {
      const column = columnThere(one.table, one.column);
      const other = others.get(`${keyOfTable(named(one.table))}\0${column}`);
      return other && willCollide(one, other) ? [{ one, other }] : [];
    });
    const alone = [
      ...here.filter((each) => !onDestination.has(keyOfTable(each.table))),
      ...there.filter((each) =>
        expected.some((table) => keyOfTable(named(table)) === keyOfTable(each.table)),
      ),
    ];
    const text = ({ table, column }: KeySequence) => `${nameOf(table)}.${column}`;
    if (collisions.length > 0)
      return failed(
        `${count(collisions.length, 'key column')} filled by sequences that give the same numbers.`,
        {
          ignorable: true,
          fix: collisions.flatMap(({ one, other }) => {
            const least = [BigInt(one.next), BigInt(other.next)].reduce((a, b) => (a > b ? a : b));
            return [
              fixOn('source', fixOf(one, source.side === 'a' ? 1n : 0n, least)),
              fixOn('destination', fixOf(other, destination.side === 'a' ? 1n : 0n, least)),
            ];
          }),
          details: [
            ...collisions.map(
              ({ one }) => `${text(one)}: rows inserted on both sides will have the same key`,
            ),
            'The statements give odd numbers to side a and even ones to side b. Ignore this if only one side inserts.',
          ],
        },
      );
    if (alone.length === 0) return passed('No key is filled by sequences that give the same numbers.');
    return alert(
      `${count(alone.length, 'key column')} filled by a sequence that both sides will have after the copy.`,
      {
        details: [
          ...alone.map(text),
          'Before both sides insert: let one give odd, the other even numbers (the reverse precheck prints the SQL).',
        ],
      },
    );
  },
};
