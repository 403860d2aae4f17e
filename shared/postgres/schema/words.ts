import { ident } from '../ident.ts';
import { keyOf } from './model.ts';

const identifier = '"(?:[^"]|"")*"|[A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*';
const tokens = new RegExp(
  `(\\$[A-Za-z_\\u0080-\\uffff]*\\$)[\\s\\S]*?\\1|[eE]?'(?:[^'\\\\]|''|\\\\[\\s\\S])*'|(?:${identifier})(?:\\.(?:${identifier}))*`,
  'g',
);
const parts = new RegExp(identifier, 'g');

const unquoted = (part: string): string =>
  part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part;

/** What stands before a word that is no column: a cast, a collation, an operator's name. */
const noColumnBehind = /(?:::|\bCOLLATE\s+|\bOPERATOR\(|\.)$/;

/**
 * Calls back for each word of a text printed by PostgreSQL under search_path '' that may name a column of its table:
 * words in small letters or quotes that neither call a function nor name a type. Strings are left alone.
 */
function replaceWords(
  text: string,
  column: (name: string, word: string) => string,
  relation: (schema: string, name: string) => void = () => {},
): string {
  return text.replace(tokens, (token: string, dollar: string | undefined, offset: number) => {
    if (dollar || /^[eE]?'/.test(token)) return token;
    const words = token.match(parts) ?? [];
    if (words.length > 1) {
      relation(unquoted(words[0]!), unquoted(words[1]!));
      return token;
    }
    // Names with capitals are printed in quotes: this is a keyword.
    if (/^[^"]*[A-Z]/.test(token)) return token;
    if (text[offset + token.length] === '(' || noColumnBehind.test(text.slice(0, offset))) return token;
    return column(unquoted(token), token);
  });
}

/** The same text with other names for columns. */
export const rewriteNames = (text: string, names: ReadonlyMap<string, string>): string =>
  replaceWords(text, (name, word) => {
    const to = names.get(name);
    return to === undefined || to === name ? word : ident(to);
  });

/** The words that may be columns, and the tables (by `keyOf`) that are named with their schema. */
export function wordsOf(text: string): {
  readonly columns: ReadonlySet<string>;
  readonly relations: ReadonlySet<string>;
} {
  const columns = new Set<string>();
  const relations = new Set<string>();
  replaceWords(
    text,
    (name, word) => {
      columns.add(name);
      return word;
    },
    (schema, name) => void relations.add(keyOf({ schema, name })),
  );
  return { columns, relations };
}
