import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { EtlPlan } from '../../shared/etl/plan.ts';
import { qualified } from '../../shared/postgres/ident.ts';
import type { Relation } from '../../shared/postgres/pgoutput.ts';
import { choosesColumns } from '../../shared/task/columns.ts';
import { mappingOf } from '../../shared/task/mapping.ts';
import type { PreparedTable, TableName, TaskConfig } from '../../shared/task/schema.ts';
import { etlOf, nameOfOutput } from '../../shared/task/table-etl.ts';
import { isPartial } from '../../shared/task/table-rules.ts';

/** What becomes of a relation's rows before they are applied. */
export type Shape = {
  /** The relation that comes of it: under the source's names, unless a step gave other ones. */
  readonly relation: Relation;
  /** Of each of the columns that go on the index in the relation that arrives. */
  readonly kept: readonly number[];
  /** The condition for its rows, if it is evaluated here, and the columns that it names. */
  readonly filter: Filter | undefined;
  /** The steps, over the columns that go on. */
  readonly etl: EtlPlan | undefined;
};
export type Filter = {
  readonly where: string;
  readonly columns: readonly { readonly name: string; readonly type: string; readonly index: number }[];
};

/** The shape of a relation's rows; undefined: they stay as they are. Asked once for each relation of a message. */
export type ShapeOf = (relation: Relation) => Shape | undefined;

/** What a task's configuration and preparation say of the source's tables; each is looked up once per relation. */
export type TaskObjects = {
  /** Columns of the identity, by the source's names. */
  readonly keyOf: (source: TableName) => readonly string[] | undefined;
  /** The relation under the destination's names, its columns in the same order. */
  readonly place: (source: Relation) => Relation;
  /** A table of the task by its quoted name at the source. */
  readonly named: (sql: string) => PreparedTable | undefined;
  /** True if updates and deletions of a table's rows may be of rows that are not here, without being conflicts. */
  readonly isPartial: (source: Relation) => boolean;
  /** Undefined where no table's rows are touched on their way. */
  readonly shapeOf: ShapeOf | undefined;
};

export function taskObjects(config: TaskConfig, prepared: readonly PreparedTable[]): TaskObjects {
  const { objects } = config;
  const tables = new Map(prepared.map((t) => [qualified(t.schema, t.name), t]));
  const tableOf = ({ schema, name }: TableName) => tables.get(qualified(schema, name));
  const mapping = mappingOf(objects.mapping);
  const plans = new Map<PreparedTable, EtlPlan | undefined>();
  const planOf = (source: TableName): EtlPlan | undefined => {
    const table = tableOf(source);
    if (!table?.types) return undefined;
    if (!plans.has(table)) plans.set(table, etlOf(objects, table));
    return plans.get(table);
  };
  const shaped = prepared.some(
    (t) => t.filter || t.types || t.shared || (t.columns && choosesColumns(objects, t)),
  );
  return {
    keyOf: (source) => tableOf(source)?.key,
    place(source) {
      const plan = planOf(source);
      if (mapping.isIdentity && !plan) return source;
      const outputs = new Map(plan?.output.map((output) => [output.name, output]));
      const nameThere = (name: string): string => {
        const output = outputs.get(name);
        return output ? nameOfOutput(mapping, source, output) : mapping.column(source, name);
      };
      return {
        ...source,
        ...mapping.table(source),
        columns: source.columns.map((column) => ({ ...column, name: nameThere(column.name) })),
      };
    },
    named: (sql) => tables.get(sql),
    isPartial: (source) => source.identity !== 'f' && isPartial(objects, source),
    shapeOf: shaped
      ? (relation) => shapeOf(objects, tableOf(relation), relation, planOf(relation))
      : undefined,
  };
}

function shapeOf(
  objects: TaskConfig['objects'],
  table: PreparedTable | undefined,
  relation: Relation,
  etl: EtlPlan | undefined,
): Shape | undefined {
  if (!table) return undefined;
  const all = relation.columns.map((_, n) => n);
  // A publication's list has to cover the identity and the condition: there may be more than what is selected.
  const isChosen = table.columns && (etl || table.shared || choosesColumns(objects, table));
  const placeOf = (name: string): number => {
    const place = relation.columns.findIndex((column) => column.name === name);
    if (place >= 0) return place;
    throw new PgtwinError('column-missing', {
      detail: `Column ${table.schema}.${table.name}.${name} is not in the stream.`,
    });
  };
  const chosen = new Set(table.columns);
  const kept = etl
    ? table.columns!.map(placeOf)
    : all.filter((n) => !isChosen || chosen.has(relation.columns[n]!.name));
  const filter = table.filter && {
    where: table.filter.where,
    columns: table.filter.columns.map((column) => ({ ...column, index: placeOf(column.name) })),
  };
  if (!etl && !filter && kept.length === all.length) return undefined;
  const columns = etl
    ? etl.output.map(({ name, input }) => {
        const from = relation.columns.find((column) => column.name === input);
        return { name, typeOid: from?.typeOid ?? 0, inKey: from?.inKey ?? false };
      })
    : kept.map((n) => relation.columns[n]!);
  return { relation: { ...relation, columns }, kept, filter, etl };
}
