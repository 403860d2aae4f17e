import { PgtwinError } from '../errors/pgtwin-error.ts';
import {
  compileExpression,
  type Expression,
  parseValue,
  textOf,
  type Value,
  type ValueType,
  valueTypeOf,
} from './expression.ts';
import type { EtlStep } from './steps.ts';

export type EtlColumn = { readonly name: string; readonly type: string };
/** A value as PostgreSQL wrote it, null, or undefined: an unchanged TOAST value that was not sent. */
export type Text = string | null | undefined;

export type EtlOutput = EtlColumn & {
  /** The source's column that it still is, by name; undefined if a step gave it its name. */
  readonly source: string | undefined;
  /** The source's column whose place it has; undefined for a new one. */
  readonly input: string | undefined;
  /** True if a step gave it its type. */
  readonly retyped: boolean;
};

/** What a table's steps make of its rows: the same function for the full copy and for changes. */
export type EtlPlan = {
  readonly output: readonly EtlOutput[];
  /** Columns of the input that an expression uses. */
  readonly uses: readonly string[];
  /** True if rows may be left out. */
  readonly filters: boolean;
  /** The row that comes of one, or undefined if it is left out. */
  readonly run: (row: readonly Text[]) => Text[] | undefined;
  /** The row of which only the key is known: no expression is asked. */
  readonly keyOnly: (row: readonly Text[]) => Text[];
};

type Slot = EtlOutput & { readonly slot: number };
type Operation = (slots: Text[]) => boolean;

/** Compiles the steps of a table. Throws `etl-invalid`, naming table and step. */
export function compileEtl(
  table: string,
  steps: readonly EtlStep[],
  input: readonly EtlColumn[],
  key: readonly string[],
): EtlPlan {
  let columns: Slot[] = input.map((column, slot) => ({
    ...column,
    ...{ slot, source: column.name, input: column.name, retyped: false },
  }));
  const operations: Operation[] = [];
  const uses = new Set<string>();
  let slots = input.length;
  const expressionOver = (
    text: string,
  ): { expression: Expression; row: (slots: Text[]) => Record<string, Value> } => {
    const types = new Map(
      columns.map((column): [string, ValueType] => [column.name, valueTypeOf(column.type)]),
    );
    const expression = compileExpression(text, types);
    const used = columns.filter((column) => expression.uses.includes(column.name));
    for (const column of used) if (column.slot < input.length) uses.add(input[column.slot]!.name);
    const fields = used.map(({ name, slot }) => ({ name, slot, type: types.get(name)! }));
    return {
      expression,
      row: (values) =>
        Object.fromEntries(
          fields.map(({ name, slot, type }) => [name, readValue(table, name, type, values[slot])]),
        ),
    };
  };

  for (const [n, step] of steps.entries()) {
    const refuse = (why: string): never => {
      throw new PgtwinError('etl-invalid', { detail: `${table}, step ${n + 1} (${step.step}): ${why}.` });
    };
    const find = (name: string): Slot =>
      columns.find((column) => column.name === name) ?? refuse(`there is no column ${name}`);
    const notKey = (name: string): void => {
      const column = columns.find((each) => each.name === name);
      if (column?.input !== undefined && key.includes(column.input))
        refuse(`${name} is part of the key, by which rows are found`);
    };
    try {
      switch (step.step) {
        case 'drop': {
          notKey(step.column);
          const column = find(step.column);
          columns = columns.filter((each) => each !== column);
          break;
        }
        case 'rename': {
          notKey(step.column);
          const column = find(step.column);
          if (columns.some((each) => each.name === step.to)) refuse(`there is a column ${step.to} already`);
          columns = columns.map((each) =>
            each === column ? { ...each, name: step.to, source: undefined } : each,
          );
          break;
        }
        case 'cast': {
          notKey(step.column);
          const column = find(step.column);
          columns = columns.map((each) =>
            each === column ? { ...each, type: step.type, retyped: true } : each,
          );
          break;
        }
        case 'set': {
          notKey(step.column);
          const { expression, row } = expressionOver(step.value);
          const there = columns.find((each) => each.name === step.column);
          const type = step.type ?? there?.type ?? refuse(`the new column ${step.column} needs a type`);
          if (!fits(expression.type, valueTypeOf(type)))
            refuse(`its value is of type ${expression.type}, the column of ${type}`);
          if (!there && input.some((column) => column.name === step.column))
            refuse(`${step.column} was dropped or renamed before: set it instead`);
          const slot = there?.slot ?? slots++;
          columns = there
            ? columns.map((each) =>
                each === there ? { ...each, type, retyped: each.retyped || step.type !== undefined } : each,
              )
            : [
                ...columns,
                { name: step.column, type, slot, source: undefined, input: undefined, retyped: true },
              ];
          operations.push((values) => {
            values[slot] = textOf(expression.evaluate(row(values)));
            return true;
          });
          break;
        }
        case 'filter': {
          const { expression, row } = expressionOver(step.keep);
          if (expression.type !== 'bool') refuse(`its condition is of type ${expression.type}`);
          operations.push((values) => expression.evaluate(row(values)) === true);
        }
      }
    } catch (error) {
      if (error instanceof PgtwinError && error.code === 'etl-invalid' && !error.message.startsWith(table))
        refuse(error.message.replace(/[.]$/, ''));
      throw error;
    }
  }
  const output = columns.map(({ slot: _slot, ...column }) => column);
  const places = columns.map((column) => column.slot);
  return {
    output,
    uses: [...uses],
    filters: steps.some((step) => step.step === 'filter'),
    run(row) {
      const values = row.slice();
      for (const operation of operations) if (!operation(values)) return undefined;
      return places.map((slot) => values[slot]);
    },
    keyOnly: (row) => places.map((slot) => row[slot] ?? null),
  };
}

function readValue(table: string, column: string, type: ValueType, text: Text): Value {
  if (text === null) return null;
  if (text === undefined)
    throw new PgtwinError('etl-failed', {
      detail: `${table}.${column} was not changed and not sent: the table needs REPLICA IDENTITY FULL.`,
    });
  try {
    return parseValue(type, text);
  } catch (cause) {
    throw new PgtwinError(
      'etl-failed',
      { detail: `A value of ${table}.${column} is no ${type}.` },
      { cause },
    );
  }
}

/** Whether a column takes a value: its text must mean the same to PostgreSQL. */
const fits = (value: ValueType | 'null', column: ValueType): boolean =>
  value === 'null' || value === column || (value === 'int' && (column === 'decimal' || column === 'double'));
