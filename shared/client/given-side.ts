import type { z } from 'zod';
import type { endpointInput } from './contract.ts';

/** One database, in the words of the API. */
export type GivenSide = z.input<typeof endpointInput>;
export type Variables = Readonly<Record<string, string | undefined>>;

/** The API wants TLS unless told otherwise; a server on this machine seldom has it. */
export function sideOfUrl(url: string): GivenSide {
  const plain =
    URL.canParse(url) && isHere(new URL(url).hostname) && !new URL(url).searchParams.has('sslmode');
  return plain ? { url, tls: 'disable' } : { url };
}

const isHere = (host: string): boolean =>
  ['', 'localhost', '127.0.0.1', '[::1]', '::1'].includes(host.toLowerCase()) || host.startsWith('/');

/** The database that libpq's variables name; undefined if they name none. */
export function sideOfVariables(env: Variables): GivenSide | undefined {
  if (!env['PGHOST'] && !env['PGDATABASE']) return undefined;
  const host = env['PGHOST'] || 'localhost';
  const user = env['PGUSER'] || env['USER'];
  const database = env['PGDATABASE'] || user;
  const mode = env['PGSSLMODE'];
  const tls = mode === 'disable' || (!mode && isHere(host)) ? 'disable' : 'require';
  return {
    host,
    port: Number(env['PGPORT'] || 5432),
    ...(user ? { user } : {}),
    ...(database ? { database } : {}),
    ...(env['PGPASSWORD'] ? { password: env['PGPASSWORD'] } : {}),
    tls: mode === 'verify-full' || mode === 'verify-ca' ? 'verify-full' : tls,
  };
}
