/** An identifier quoted for SQL (PostgreSQL manual, 4.1.1): always quoted, so that case and reserved words survive. */
export const ident = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A schema-qualified name, quoted. */
export const qualified = (schema: string, name: string): string => `${ident(schema)}.${ident(name)}`;

/** A string literal for the few places that take no parameters (DDL, publication filters). Standard conforming. */
export const literal = (value: string): string =>
  value.includes('\\')
    ? ` E'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
    : `'${value.replaceAll("'", "''")}'`;
