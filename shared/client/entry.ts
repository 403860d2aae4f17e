/** Tables by name or pattern; a schema alone stands for all its tables. */
export type Entry = { readonly schema: string; readonly table?: string };

const part = '(?:"((?:[^"]|"")+)"|([^".]+))';
const shape = new RegExp(`^${part}(?:[.]${part})?$`);

/** Reads `schema`, `schema.table`, or these in double quotes where a name has a dot; undefined for anything else. */
export function parseEntry(text: string): Entry | undefined {
  const found = shape.exec(text);
  if (!found) return undefined;
  const [, quotedSchema, schema, quotedTable, table] = found;
  const plain = (quoted: string | undefined, bare: string | undefined) =>
    quoted?.replaceAll('""', '"') ?? bare;
  const named = plain(quotedTable, table);
  return { schema: plain(quotedSchema, schema)!, ...(named === undefined ? {} : { table: named }) };
}

/** As `parseEntry` reads it. */
export const entryText = ({ schema, table = '*' }: Entry): string => {
  const quoted = (name: string) => (/[".]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name);
  return `${quoted(schema)}.${quoted(table)}`;
};
