import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import { Decimal } from './decimal.ts';

/** Of a column: how its text becomes a value of the language. */
export type ValueType = 'int' | 'decimal' | 'double' | 'bool' | 'string';
export type Value = bigint | Decimal | number | boolean | string | null;

const integers = /^(smallint|integer|bigint|oid)$/;
const floats = /^(real|double precision)$/;

/**
 * The type of a PostgreSQL type's values. Everything else (dates, JSON, arrays, ...) is its text, as PostgreSQL writes
 * it under fixed settings (ISO dates, UTC).
 */
export function valueTypeOf(type: string): ValueType {
  if (integers.test(type)) return 'int';
  if (/^numeric(\(|$)/.test(type)) return 'decimal';
  if (floats.test(type)) return 'double';
  return type === 'boolean' ? 'bool' : 'string';
}

export function parseValue(type: ValueType, text: string): Value {
  switch (type) {
    case 'int':
      return BigInt(text);
    case 'decimal':
      return Decimal.of(text);
    case 'double':
      return Number(text);
    case 'bool':
      return text === 't';
    case 'string':
      return text;
  }
}

export const textOf = (value: Value): string | null => {
  if (value === null) return null;
  return typeof value === 'boolean' ? (value ? 't' : 'f') : String(value);
};

/** Bounds of one expression. It has no loops, so that its time is bounded by its size and that of its values. */
const limits = {
  maxAstNodes: 500,
  maxDepth: 40,
  maxListElements: 200,
  maxMapEntries: 20,
  maxCallArguments: 8,
};
/** Loops, and regular expressions, which may run without end on some values. */
const refused = ['matches', 'map', 'filter', 'all', 'exists', 'exists_one', 'existsOne', 'sortBy', 'reduce'];

class NoValue extends Error {}

type Checker = { check(ast: unknown, context: unknown): { toString(): string } };
type Runner = { run(ast: unknown, context: unknown): unknown };
type Macro = { readonly ast: unknown; readonly args: readonly ASTNode[] };

const runs = (runner: Runner, ast: unknown, context: unknown): { value: unknown } | undefined => {
  try {
    return { value: runner.run(ast, context) };
  } catch (error) {
    if (isNull(error)) return undefined;
    throw error;
  }
};

/** A column that is null has no value of its type: what needs one comes to nothing. */
const isNull = (error: unknown): boolean =>
  error instanceof NoValue || (error as { code?: unknown }).code === 'variable_type_mismatch';

function environment(): Environment {
  const env = new Environment({ limits, homogeneousAggregateLiterals: true });
  env.registerType('decimal', { ctor: Decimal, fields: {} } as never);
  const register = env.registerFunction.bind(env) as (signature: string, handler: unknown) => unknown;
  const operator = env.registerOperator.bind(env) as (signature: string, handler: unknown) => unknown;
  register('decimal(string): decimal', (text: string) => Decimal.of(text));
  register('decimal(int): decimal', (value: bigint) => Decimal.ofInteger(value));
  register('string(decimal): string', (value: Decimal) => value.toString());
  register('int(decimal): int', (value: Decimal) => value.toInteger());
  register('double(decimal): double', (value: Decimal) => Number(value.toString()));
  register('round(decimal, int): decimal', (value: Decimal, scale: bigint) => value.rounded(scaleOf(scale)));
  register('divide(decimal, decimal, int): decimal', (one: Decimal, other: Decimal, scale: bigint) =>
    one.over(other, scaleOf(scale)),
  );
  operator('decimal + decimal', (one: Decimal, other: Decimal) => one.plus(other));
  operator('decimal - decimal', (one: Decimal, other: Decimal) => one.minus(other));
  operator('decimal * decimal', (one: Decimal, other: Decimal) => one.times(other));
  operator('decimal == decimal', (one: Decimal, other: Decimal) => one.compare(other) === 0);
  operator('decimal < decimal', (one: Decimal, other: Decimal) => one.compare(other) < 0);
  operator('decimal <= decimal', (one: Decimal, other: Decimal) => one.compare(other) <= 0);
  operator('decimal > decimal', (one: Decimal, other: Decimal) => one.compare(other) > 0);
  operator('decimal >= decimal', (one: Decimal, other: Decimal) => one.compare(other) >= 0);
  // Nulls: a macro decides for itself what it makes of them.
  register('isNull(ast): bool', ({ args }: Macro) => ({
    typeCheck: (checker: Checker, _: unknown, context: unknown) => {
      checker.check(args[0], context);
      return (checker as unknown as { getType(name: string): unknown }).getType('bool');
    },
    evaluate: (runner: Runner, _: unknown, context: unknown) => runs(runner, args[0], context) === undefined,
  }));
  register('orElse(ast, ast): dyn', ({ args }: Macro) => ({
    typeCheck: (checker: Checker, _: unknown, context: unknown) => {
      const [one, other] = args.map((each) => checker.check(each, context));
      if (String(one) !== String(other)) throw new TypeError(`orElse has the types ${one} and ${other}`);
      return one;
    },
    evaluate: (runner: Runner, _: unknown, context: unknown) =>
      (runs(runner, args[0], context) ?? { value: runner.run(args[1], context) }).value,
  }));
  register('onlyIf(ast, ast): dyn', ({ args }: Macro) => ({
    typeCheck: (checker: Checker, _: unknown, context: unknown) => {
      if (String(checker.check(args[0], context)) !== 'bool')
        throw new TypeError('onlyIf starts with a condition');
      return checker.check(args[1], context);
    },
    evaluate: (runner: Runner, _: unknown, context: unknown) => {
      if (runner.run(args[0], context) !== true) throw new NoValue();
      return runner.run(args[1], context);
    },
  }));
  return env;
}

const scaleOf = (scale: bigint): number => {
  if (scale < 0n || scale > 1000n) throw new RangeError('a scale is from 0 to 1000');
  return Number(scale);
};

let parser: Environment | undefined;

/** What is wrong with the form of an expression; undefined if nothing is. Types are checked where they are known. */
export function syntaxError(text: string): string | undefined {
  try {
    parser ??= environment();
    const { ast } = parser.parse(text);
    const used = callsIn(ast).find((name) => refused.includes(name));
    return used === undefined ? undefined : `${used} is not allowed: it could run without end`;
  } catch (error) {
    return messageOf(error);
  }
}

/** `at character 5: Unexpected token`, from an error of the parser or the checker. */
function messageOf(error: unknown): string {
  const { range, summary, message } = error as {
    range?: { start: number };
    summary?: string;
    message: string;
  };
  const text = summary ?? message.split('\n')[0]!;
  return range ? `at character ${range.start + 1}: ${text}` : text;
}

type Node = { readonly op?: string; readonly args?: unknown };

function walk(node: unknown, visit: (node: Node) => void): void {
  if (Array.isArray(node)) for (const each of node) walk(each, visit);
  else if (typeof node === 'object' && node !== null && 'op' in node) {
    visit(node as Node);
    walk((node as Node).args, visit);
  }
}

function callsIn(ast: unknown): string[] {
  const names: string[] = [];
  walk(ast, ({ op, args }) => {
    if (op === 'call' || op === 'rcall') names.push(String((args as unknown[])[0]));
    if (op === 'comprehension') names.push('map');
  });
  return names;
}

export type Expression = {
  readonly type: ValueType | 'null';
  /** The columns that it may use. */
  readonly uses: readonly string[];
  /** The value for a row; null where it comes to none. Throws for a division by zero and the like. */
  readonly evaluate: (row: Readonly<Record<string, Value>>) => Value;
};

const typesOfResults: readonly string[] = ['int', 'decimal', 'double', 'bool', 'string', 'null'];

/**
 * An expression over columns of these types. Throws `etl-invalid` with the place of what is wrong. A column whose name
 * the language can't write (`order no`, `in`) has to be renamed by a step before.
 */
export function compileExpression(text: string, columns: ReadonlyMap<string, ValueType>): Expression {
  const wrong = syntaxError(text);
  if (wrong !== undefined) throw invalid(text, wrong);
  const env = environment();
  const known = new Map<string, ValueType>();
  for (const [name, type] of columns) {
    if (!/^[A-Za-z_]\w*$/.test(name)) continue;
    try {
      env.registerVariable(name, type);
      known.set(name, type);
    } catch {
      // A word of the language.
    }
  }
  const checked = env.check(text);
  if (!checked.valid) throw invalid(text, messageOf(checked.error));
  const type = String(checked.type);
  if (!typesOfResults.includes(type)) throw invalid(text, `gives ${type}, which is no column's value`);
  const run = env.parse(text);
  const uses = new Set<string>();
  // Macros keep their arguments to themselves: every word that is a column counts.
  const words = text.replaceAll(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, '""');
  for (const [word] of words.matchAll(/[A-Za-z_]\w*/g)) if (known.has(word)) uses.add(word);
  return {
    type: type as ValueType | 'null',
    uses: [...uses],
    evaluate(row) {
      try {
        return run(row as never) as Value;
      } catch (error) {
        if (isNull(error)) return null;
        throw new PgtwinError(
          'etl-failed',
          { detail: `The expression ${text}: ${messageOf(error)}.` },
          { cause: error },
        );
      }
    },
  };
}

const invalid = (text: string, why: string): PgtwinError =>
  new PgtwinError('etl-invalid', { detail: `The expression ${text}: ${why}.` });
