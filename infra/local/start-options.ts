import { parseArgs } from 'node:util';
import {
  type GivenSide,
  sideOfUrl,
  sideOfVariables,
  type Variables,
} from '../../shared/client/given-side.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';

export type StartOptions = {
  readonly home: string;
  readonly port: number;
  /** Start the tasks when the precheck has nothing against it. */
  readonly yes: boolean;
  readonly help: boolean;
  readonly log: string;
  /** Both or none. */
  readonly sides: { readonly a: GivenSide; readonly b: GivenSide } | undefined;
  /** Only one database was given. */
  readonly incomplete: boolean;
};

export const usage = `Usage: npm start -- [URL_A URL_B] [options]

  URL_A URL_B, or --a URL --b URL, or PGTWIN_A and PGTWIN_B in the environment (not seen by others in the list of
  processes): the two databases, as postgres://user:password@host:5432/database?sslmode=require. One of the two may
  come from PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD and PGSSLMODE.

  --yes       start the tasks if the precheck finds nothing that must be mended
  --port N    port of the API (8700; 0 takes a free one)
  --help      show this

  State is kept in .pgtwin of the current folder, or in PGTWIN_HOME. PGTWIN_LOG sets what is logged (info).`;

/** Throws `invalid-request` that names the option. */
export function readStartOptions(argv: readonly string[], env: Variables): StartOptions {
  const { values, positionals } = parse(argv);
  const port = Number(values.port ?? 8700);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw refused('--port', 'must be a number from 0 to 65535');
  if (positionals.length > 2) throw refused('arguments', 'at most two databases can be given');
  const [first, second] = positionals;
  const a = sideOf(values.a ?? first ?? env['PGTWIN_A']);
  const b = sideOf(values.b ?? second ?? env['PGTWIN_B']);
  const other = a && b ? undefined : sideOfVariables(env);
  const sides = { a: a ?? other, b: b ?? (a ? other : undefined) };
  const complete = sides.a && sides.b ? { a: sides.a, b: sides.b } : undefined;
  return {
    home: env['PGTWIN_HOME'] || '.pgtwin',
    port,
    yes: values.yes ?? false,
    help: values.help ?? false,
    log: env['PGTWIN_LOG'] || 'info',
    sides: complete,
    incomplete: !complete && (a !== undefined || b !== undefined),
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        a: { type: 'string' },
        b: { type: 'string' },
        port: { type: 'string' },
        yes: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw refused('arguments', (error as Error).message);
  }
}

const refused = (field: string, detail: string): PgtwinError =>
  new PgtwinError('invalid-request', { field, detail: `${field}: ${detail}.` });

const sideOf = (url: string | undefined): GivenSide | undefined => (url ? sideOfUrl(url) : undefined);
