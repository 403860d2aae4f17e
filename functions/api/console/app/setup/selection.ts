import { type Entry, entryText, parseEntry } from '../../../../../shared/client/entry.ts';
import { selectTables } from '../../../../../shared/task/selection.ts';

/** Which tables a task takes: names and patterns; exclude wins. */
export type Selection = { readonly include: readonly Entry[]; readonly exclude?: readonly Entry[] };
export type Named = { readonly schema: string; readonly name: string };

export const everything: Selection = { include: [{ schema: '*', table: '*' }] };
export const isEverything = ({ include }: Selection): boolean =>
  include.some(({ schema, table = '*' }) => schema === '*' && table === '*');

/** The tables that a selection names, as pgtwin itself finds them. */
export const selectedOf = <T extends Named>(selection: Selection, tables: readonly T[]): T[] =>
  selectTables(
    {
      include: selection.include.map(({ schema, table = '*' }) => ({ schema, table })),
      exclude: (selection.exclude ?? []).map(({ schema, table = '*' }) => ({ schema, table })),
    },
    tables,
  );

const isSelected = (selection: Selection, table: Named): boolean => selectedOf(selection, [table]).length > 0;

const without = (entries: readonly Entry[] | undefined, gone: (entry: Entry) => boolean): readonly Entry[] =>
  (entries ?? []).filter((entry) => !gone(entry));

const tidy = (include: readonly Entry[], exclude: readonly Entry[]): Selection =>
  exclude.length > 0 ? { include, exclude } : { include };

/** Takes a schema whole, with the tables that it will have, or leaves it out. */
export function withSchema(selection: Selection, schema: string, taken: boolean): Selection {
  const include = without(selection.include, (entry) => entry.schema === schema);
  const exclude = without(selection.exclude, (entry) => entry.schema === schema);
  if (taken) return tidy([...include, { schema, table: '*' }], exclude);
  const stillThere = isSelected(tidy(include, exclude), { schema, name: 'any' });
  return tidy(include, stillThere ? [...exclude, { schema, table: '*' }] : exclude);
}

/** Takes one table, or leaves it out, without touching the others. */
export function withTable(selection: Selection, { schema, name }: Named, taken: boolean): Selection {
  const isIt = (entry: Entry): boolean => entry.schema === schema && entry.table === name;
  const include = without(selection.include, isIt);
  const exclude = without(selection.exclude, isIt);
  const there = isSelected(tidy(include, exclude), { schema, name });
  if (taken === there) return tidy(include, exclude);
  const entry = { schema, table: name };
  return taken ? tidy([...include, entry], exclude) : tidy(include, [...exclude, entry]);
}

/** Entries as lines of text, and back; a line that is none is told by its number. */
export const linesOf = (entries: readonly Entry[] | undefined): string =>
  (entries ?? []).map(entryText).join('\n');

export function entriesOf(text: string): { entries: Entry[]; wrong: number | undefined } {
  const lines = text.split('\n').map((line) => line.trim());
  const parsed = lines.map((line) => (line === '' ? undefined : parseEntry(line)));
  const wrong = lines.findIndex((line, n) => line !== '' && parsed[n] === undefined);
  return { entries: parsed.filter((entry) => entry !== undefined), wrong: wrong < 0 ? undefined : wrong + 1 };
}
