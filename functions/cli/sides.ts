import { type GivenSide, sideOfUrl } from '../../shared/client/given-side.ts';
import type { Side } from '../../shared/task/schema.ts';
import { usageError } from './command.ts';
import type { Io } from './io.ts';

/**
 * One database of a new pair: its URL, and its password from the URL, a secret's name, the environment, or a person
 * who is asked without echo. Throws a usage error that never holds the URL.
 */
export async function readSide(
  side: Side,
  given: { readonly url?: string | undefined; readonly secret?: string | undefined },
  { variables, ask }: Pick<Io, 'variables' | 'ask'>,
): Promise<GivenSide> {
  const upper = side === 'a' ? 'A' : 'B';
  const url = given.url ?? variables[`PGTWIN_${upper}`];
  if (url === undefined)
    throw usageError(`--${side} (or PGTWIN_${upper}) must give the database of side ${side}`);
  const base = sideOfUrl(url);
  if (given.secret !== undefined) return { ...base, secret: given.secret };
  // What is no URL is refused by the API, with the field's name.
  if (!URL.canParse(url) || new URL(url).password !== '') return base;
  const known = variables[`PGTWIN_${upper}_PASSWORD`] ?? variables.PGPASSWORD;
  if (known !== undefined) return { ...base, password: known };
  if (!ask)
    throw usageError(
      `side ${side} needs a password: set PGTWIN_${upper}_PASSWORD, or name a secret with --${side}-secret`,
    );
  const { username, host, pathname } = new URL(url);
  const question = `Password of ${username} for side ${side} (${host}${pathname}): `;
  return { ...base, password: await ask(question, { hidden: true }) };
}

/** A JSON file of a command; throws a usage error that names the option, not what the file holds. */
export async function readJson(io: Pick<Io, 'readFile'>, path: string): Promise<Record<string, unknown>> {
  const text = await io.readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw usageError(`--file ${path} can not be read (${error.code ?? error.message})`);
  });
  const value = parsed(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw usageError(`--file ${path} must hold one JSON object`);
  return value as Record<string, unknown>;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
