import { type Entry, entryText, parseEntry } from '../../../../../shared/client/entry.ts';
import { selectTables } from '../../../../../shared/task/selection.ts';

/** Which tables a task takes: names and patterns; exclude wins. Other fields say what of them, and how. */
export type Selection = {
  readonly include: readonly Entry[];
  readonly exclude?: readonly Entry[];
  readonly [field: string]: unknown;
};
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

/** The same selection with other tables. */
export function withEntries(
  { include: _i, exclude: _e, ...others }: Selection,
  include: readonly Entry[],
  exclude: readonly Entry[] = [],
): Selection {
  return { include, ...(exclude.length > 0 ? { exclude } : {}), ...others };
}

/** Takes a schema whole, with the tables that it will have, or leaves it out. */
export function withSchema(selection: Selection, schema: string, taken: boolean): Selection {
  const include = without(selection.include, (entry) => entry.schema === schema);
  const exclude = without(selection.exclude, (entry) => entry.schema === schema);
  if (taken) return withEntries(selection, [...include, { schema, table: '*' }], exclude);
  const stillThere = isSelected(withEntries(selection, include, exclude), { schema, name: 'any' });
  return withEntries(selection, include, stillThere ? [...exclude, { schema, table: '*' }] : exclude);
}

/** Takes one table, or leaves it out, without touching the others. */
export function withTable(selection: Selection, { schema, name }: Named, taken: boolean): Selection {
  const isIt = (entry: Entry): boolean => entry.schema === schema && entry.table === name;
  const include = without(selection.include, isIt);
  const exclude = without(selection.exclude, isIt);
  const there = isSelected(withEntries(selection, include, exclude), { schema, name });
  if (taken === there) return withEntries(selection, include, exclude);
  const entry = { schema, table: name };
  return taken
    ? withEntries(selection, [...include, entry], exclude)
    : withEntries(selection, include, [...exclude, entry]);
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
