import { loadModule, parseSync } from 'libpg-query';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import type { Queryable } from '../postgres/connect.ts';
import { ident, qualified } from '../postgres/ident.ts';
import { codeOf } from '../postgres/sqlstate.ts';
import { conditionSql } from './condition-sql.ts';
import type { TableName } from './schema.ts';

export type Condition = {
  /** Columns that it names. */
  readonly columns: readonly string[];
  /** Only comparisons, AND, OR, NOT, IN and IS NULL: what every publication takes. */
  readonly simple: boolean;
};

const plain: readonly string[] = [
  ...['A_Expr', 'BoolExpr', 'NullTest', 'ColumnRef', 'String', 'A_Const', 'List', 'Integer', 'Float'],
];
const simpleOperators = ['=', '<>', '<', '<=', '>', '>='];

/**
 * Reads a condition with PostgreSQL's own parser: exactly one expression, without subqueries and parameters. Throws
 * `filter-invalid` with the place of what is wrong. What its names and types mean is for the server to say.
 */
export async function readCondition(where: string): Promise<Condition> {
  await loadModule();
  const prefix = 'select 1 where (';
  const refuse = (why: string): never => {
    throw new PgtwinError('filter-invalid', { detail: `The condition ${where}: ${why}.` });
  };
  // A comment could swallow the bracket, and an open bracket reach beyond it.
  const tree = parse(`${prefix}\n${where}\n)`, (message, position) =>
    refuse(
      position === undefined ? message : `at character ${Math.max(1, position - prefix.length)}: ${message}`,
    ),
  );
  // Half of one expression in brackets of the other's: it would be torn apart where it stands beside another.
  parse(`select 1 where\n${where}\n`, (message) => refuse(message));
  const alone = parse(`select 1 where ${prefix.at(-1)}1 = 1)`, () => refuse('can not be read'));
  if (tree.length !== 1) refuse('is more than one statement');
  const select = (tree[0] as { stmt?: { SelectStmt?: Record<string, unknown> } }).stmt?.SelectStmt;
  const shape = (alone[0] as { stmt: { SelectStmt: Record<string, unknown> } }).stmt.SelectStmt;
  if (!select || Object.keys(select).toSorted().join() !== Object.keys(shape).toSorted().join())
    refuse('is not one expression');
  const columns = new Set<string>();
  let simple = true;
  walk(select!['whereClause'], (kind, node) => {
    if (kind === 'SubLink') refuse('has a subquery');
    if (kind === 'ParamRef') refuse('has a parameter');
    if (kind === 'A_Star') refuse('names no single columns');
    if (!plain.includes(kind)) simple = false;
    if (kind === 'A_Expr') {
      const name = (node['name'] as { String?: { sval?: string } }[] | undefined)?.[0]?.String?.sval;
      if (!simpleOperators.includes(name ?? '')) simple = false;
    }
    if (kind === 'ColumnRef') {
      const fields = node['fields'] as { String?: { sval: string } }[];
      if (fields.length > 1) refuse('names a column with its table: the name alone is enough');
      if (fields[0]?.String) columns.add(fields[0].String.sval);
    }
  });
  return { columns: [...columns], simple };
}

function parse(sql: string, refuse: (message: string, position?: number) => never): readonly unknown[] {
  try {
    return parseSync(sql).stmts ?? [];
  } catch (error) {
    const { sqlDetails, message } = error as Error & {
      sqlDetails?: { message: string; cursorPosition: number };
    };
    return refuse(sqlDetails?.message ?? message, sqlDetails?.cursorPosition);
  }
}

function walk(value: unknown, visit: (kind: string, node: Record<string, unknown>) => void): void {
  if (Array.isArray(value)) {
    for (const each of value) walk(each, visit);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      if (/^[A-Z]/.test(key) && typeof inner === 'object' && inner !== null)
        visit(key, inner as Record<string, unknown>);
      walk(inner, visit);
    }
  }
}

/**
 * Lets the source's server judge a condition: an index over it takes boolean expressions of one row only, with nothing
 * that may come out differently another time. The index is of an empty temporary table; the caller rolls back. Throws
 * `filter-invalid` with what the server says.
 */
export async function checkCondition(client: Queryable, table: TableName, where: string): Promise<void> {
  const name = qualified(table.schema, table.name);
  try {
    await client.query(/* sql */ `begin`);
    await client.query(/* sql */ `create temporary table pgtwin_filter (like ${name}) on commit drop`);
    await client.query(/* sql */ `create index on pg_temp.pgtwin_filter ((1)) where ${conditionSql(where)}`);
    await client.query(
      /* sql */ `select from ${name} as ${ident(table.name)} where ${conditionSql(where)} limit 0`,
    );
  } catch (error) {
    const { message } = error as Error;
    if (!/^(42|22|0A|3F)/.test(codeOf(error))) throw error;
    throw new PgtwinError('filter-invalid', {
      detail: `The condition ${where} of ${table.schema}.${table.name}: ${message}.`,
      sqlstate: codeOf(error),
    });
  } finally {
    await client.query(/* sql */ `rollback`).catch(() => {});
  }
}
