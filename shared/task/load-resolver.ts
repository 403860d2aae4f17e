import { createContext, Script } from 'node:vm';
import type { Version } from '../conflict/kinds.ts';
import type { Contest, Resolver } from '../conflict/policies/policy.ts';
import type { Row, Table } from '../conflict/rows.ts';

/** How long a resolver may take for one conflict: locks are held meanwhile. */
const TIMEOUT_MS = 200;

const verdicts: readonly string[] = ['source', 'destination', 'delete', 'fail'];

const exportsDefault = /^[ \t]*export[ \t]+default[ \t]+/gm;
const otherModules = /^[ \t]*(?:import\b|export\b)/m;
/** A promise that nobody waits for could fail at any time, and would end the process. */
const laterWords = /\b(?:async|await|import)\b/;
const laterGlobals = /* js */ `
  for (const name of ['Promise', 'WebAssembly', 'Atomics', 'FinalizationRegistry', 'WeakRef']) delete globalThis[name];
  delete Array.fromAsync;`;

/** The module as a script that leaves its default export in a variable of its own context. */
function scriptOf(source: string): Script {
  const text = source.replace(exportsDefault, 'globalThis.resolve = ');
  return new Script(`'use strict';\n${text}\n`, { filename: 'resolver.js', lineOffset: -1 });
}

/** What is wrong with a resolver's text, for a person; undefined if nothing is. Runs nothing. */
export function compileResolver(source: string): string | undefined {
  const defaults = source.match(exportsDefault)?.length ?? 0;
  if (defaults !== 1) return 'must have one "export default", a function, at the start of a line';
  if (otherModules.test(source.replace(exportsDefault, '')))
    return 'can neither import nor export anything else';
  if (laterWords.test(source)) return 'must answer at once: it can not use the words async, await or import';
  try {
    scriptOf(source);
    return undefined;
  } catch (error) {
    return `is not valid JavaScript: ${(error as Error).message}`;
  }
}

/**
 * A user's resolver, in a context of its own: it has the language and nothing else, neither I/O nor code from text,
 * and a time limit. Only JSON text goes in and out, so it never holds an object of ours. The function gets
 * `{ kind, table, key, source, destination, base }`: keys and rows as objects by column, with values as PostgreSQL
 * text or null; versions are `{ row, time, side }`, with time in microseconds since 1970. It returns a row (columns
 * that it leaves out stay as the destination has them) or a verdict. What it throws, and anything else, is `fail`.
 */
export function loadResolver(source: string, timeoutMs = TIMEOUT_MS): Resolver {
  const context = createContext(Object.create(null), {
    codeGeneration: { strings: false, wasm: false },
  });
  const options = { timeout: timeoutMs };
  let loaded = false;
  const call = new Script('JSON.stringify(resolve(JSON.parse(contest)))', { filename: 'call.js' });
  return (contest) => {
    try {
      if (!loaded) {
        if (compileResolver(source) !== undefined) return 'fail';
        new Script(laterGlobals).runInContext(context);
        scriptOf(source).runInContext(context, options);
        loaded = true;
      }
      context['contest'] = JSON.stringify(shown(contest));
      const answer: unknown = call.runInContext(context, options);
      return typeof answer === 'string' ? read(JSON.parse(answer), contest) : 'fail';
    } catch {
      return 'fail';
    }
  };
}

function shown({ kind, table, key, source, local, base }: Contest) {
  const version = ({ row, time, side }: Version) => ({
    row: row && named(table, row),
    time: time === null ? null : Number(time),
    side,
  });
  return {
    kind,
    table: table.name,
    key: Object.fromEntries(table.key.map((column, n) => [table.columns[column]!, key[n]])),
    source: version(source),
    destination: version(local),
    base: base && named(table, base),
  };
}

const named = (table: Table, row: Row) =>
  Object.fromEntries(table.columns.map((column, n) => [column, row[n]]));

function read(answer: unknown, { table, local }: Contest): ReturnType<Resolver> {
  if (typeof answer === 'string')
    return verdicts.includes(answer) ? (answer as 'source' | 'destination' | 'delete' | 'fail') : 'fail';
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) return 'fail';
  const given = answer as Record<string, unknown>;
  if (Object.keys(given).some((column) => !table.columns.includes(column))) return 'fail';
  const row = table.columns.map((column, n) =>
    Object.hasOwn(given, column) ? textOf(given[column]) : local.row?.[n],
  );
  return row.includes(undefined) ? 'fail' : row;
}

/** A value as PostgreSQL text; undefined for what is none. */
const textOf = (value: unknown): string | null | undefined => {
  if (value === null || typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
};
