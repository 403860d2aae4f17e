/** One connection. Not a pool: settings of the session matter. Structural, so that every `pg` client fits. */
export interface Queryable {
  // biome-ignore lint/suspicious/noExplicitAny: rows are typed where they are read
  query(text: string, values?: unknown[]): Promise<{ rows: any[] }>;
}

/**
 * Rows of a catalogue query as JSON, so that they are the same whatever type parsers the client has. An oid is text,
 * a number a JSON number. The order of the query stays.
 */
export async function readRows<T>(db: Queryable, sql: string, values: unknown[] = []): Promise<T[]> {
  const { rows } = await db.query(/* sql */ `select to_jsonb(q) as "row" from (${sql}) q`, values);
  return rows.map(({ row }) => row);
}
