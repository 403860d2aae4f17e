import type { EndpointInput } from '../../shared/client/contract.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { type Endpoint, endpoint } from '../../shared/task/schema.ts';

/** An endpoint as given, in parts: with its password, or with the reference to where it is kept. */
export type GivenEndpoint = Omit<Endpoint, 'secret'> &
  (
    | { readonly password: string; readonly secret?: never }
    | { readonly secret: string; readonly password?: never }
  );

type Parts = { [K in keyof EndpointInput]?: EndpointInput[K] | undefined };

const tlsOfSslmode: Readonly<Record<string, Endpoint['tls']>> = {
  disable: 'disable',
  require: 'require',
  'verify-ca': 'verify-full',
  'verify-full': 'verify-full',
};

const invalid = (field: string, detail: string): PgtwinError =>
  new PgtwinError('invalid-request', { field, detail: `${field}: ${detail}.` });

/** The parts of an endpoint, whichever way it was given. Throws `invalid-request` that names the field. */
export function resolveEndpoint(input: EndpointInput, field: string): GivenEndpoint {
  const { url, ...rest } = input;
  const given: Parts = rest;
  const parts: Parts = url === undefined ? given : merge(partsOfUrl(url, `${field}.url`), given, field);
  const { host, port = 5432, database, user, password, secret, tls = 'require', region } = parts;
  for (const [name, value] of Object.entries({ host, database, user }))
    if (value === undefined) throw invalid(`${field}.${name}`, 'is missing');
  if (password !== undefined && secret !== undefined)
    throw invalid(`${field}.secret`, 'give a password or a secret, not both');
  if (password === undefined && secret === undefined)
    throw invalid(`${field}.password`, 'is missing: give a password, or a secret that holds it');
  const checked = endpoint.safeParse({ host, port, database, user, tls, region, secret: secret ?? 'later' });
  const issue = checked.error?.issues[0];
  if (!checked.success) throw invalid(`${field}.${issue?.path.join('.')}`, issue?.message ?? 'is not valid');
  const { secret: _secret, ...known } = checked.data;
  return secret === undefined ? { ...known, password: password! } : { ...known, secret };
}

/** What is given beside a URL must not contradict it. */
function merge(fromUrl: Parts, given: Parts, field: string): Parts {
  for (const [name, value] of Object.entries(given)) {
    const other = fromUrl[name as keyof Parts];
    if (value !== undefined && other !== undefined && value !== other)
      throw invalid(`${field}.${name}`, 'contradicts the url');
  }
  const definite = Object.entries({ ...given }).filter(([, value]) => value !== undefined);
  return { ...fromUrl, ...Object.fromEntries(definite) };
}

/** Never says what the URL is: it may hold a password. */
function partsOfUrl(text: string, field: string): Parts {
  const shape = 'must be like postgres://user:password@host:5432/database?sslmode=require';
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text)) throw invalid(field, shape);
  const url = new URL(text);
  const { host: socketFolder, sslmode, ...unknown } = Object.fromEntries(url.searchParams);
  const stranger = Object.keys(unknown)[0];
  if (stranger !== undefined) throw invalid(field, `the parameter ${stranger} is not known`);
  const tls = sslmode === undefined ? undefined : tlsOfSslmode[sslmode];
  if (sslmode !== undefined && tls === undefined)
    throw invalid(field, `sslmode must be one of ${Object.keys(tlsOfSslmode).join(', ')}`);
  const decoded = (part: string): string | undefined => {
    if (part === '') return undefined;
    try {
      return decodeURIComponent(part);
    } catch {
      throw invalid(field, 'has a % that is not followed by two hexadecimal digits; write %25 for it');
    }
  };
  return {
    host: socketFolder ?? decoded(url.hostname.replace(/^\[(.*)\]$/, '$1')),
    port: url.port === '' ? undefined : Number(url.port),
    database: decoded(url.pathname.slice(1)),
    user: decoded(url.username),
    password: decoded(url.password),
    tls,
  };
}

/** Whether two endpoints name the same database, as far as their words tell. */
export const sameAddress = (
  one: Pick<Endpoint, 'host' | 'port' | 'database'>,
  other: Pick<Endpoint, 'host' | 'port' | 'database'>,
): boolean =>
  one.host.toLowerCase() === other.host.toLowerCase() &&
  one.port === other.port &&
  one.database === other.database;

/** Throws `endpoint-fixed` if an endpoint that is given again is not the pair's. */
export function assertSameEndpoint(stored: Endpoint, input: EndpointInput, field: string): void {
  const { url, password: _password, ...rest } = input;
  const { password: _inUrl, ...fromUrl } = url === undefined ? {} : partsOfUrl(url, `${field}.url`);
  for (const [name, value] of Object.entries({ ...fromUrl, ...rest }))
    if (value !== undefined && stored[name as keyof Endpoint] !== value)
      throw new PgtwinError('endpoint-fixed', {
        field: `${field}.${name}`,
        detail: `The endpoints are fixed with the pair, and ${field}.${name} is not that of the pair.`,
      });
}
