import { createHash, timingSafeEqual } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';

/** Each role may do what those before it may. */
export const roles = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof roles)[number];
/** A bearer token: its name is the actor of events, the token itself is kept as a hash only. */
export type Token = { readonly name: string; readonly role: Role; readonly hash: Buffer };
/** What the middleware tells the routes of a request: who it is. */
export type ApiVariables = { actor: string; role: Role };

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

export const tokenOf = (name: string, role: Role, token: string): Token => ({
  name,
  role,
  hash: hashOf(token),
});

/** Reads `name:role:token,…`; throws `environment-invalid` that names the entry by its place, never by its text. */
export function parseTokens(text: string | undefined): Token[] {
  const entries = (text ?? '').split(',').map((entry) => entry.trim());
  const tokens = entries.filter(Boolean).map((entry, index) => {
    const [name = '', role = '', ...rest] = entry.split(':');
    const token = rest.join(':');
    const invalid = (what: string) =>
      new PgtwinError('environment-invalid', {
        detail: `PGTWIN_API_TOKENS, entry ${index + 1}: ${what}; entries are name:role:token.`,
      });
    if (!/^[\w.@-]{1,64}$/.test(name)) throw invalid('the name must be 1 to 64 letters, digits, or _ . @ -');
    if (!(roles as readonly string[]).includes(role)) throw invalid(`the role must be ${roles.join(', ')}`);
    if (token.length < 16) throw invalid('the token must have at least 16 characters');
    return tokenOf(name, role as Role, token);
  });
  const twice = tokens.find(({ name }, index) => tokens.findIndex((other) => other.name === name) < index);
  if (twice)
    throw new PgtwinError('environment-invalid', {
      detail: `PGTWIN_API_TOKENS has the name ${twice.name} twice.`,
    });
  return tokens;
}

/**
 * Puts the token's name and role into the request. Every token is compared, each in constant time over hashes, so
 * that the duration says nothing of the tokens.
 */
export function authenticate(tokens: readonly Token[]): MiddlewareHandler<{ Variables: ApiVariables }> {
  return async (c, next) => {
    if (tokens.length === 0)
      throw new PgtwinError('unauthorized', {
        detail: 'This service has no tokens, so it refuses every request. Set PGTWIN_API_TOKENS.',
      });
    const given = /^Bearer +(\S+) *$/i.exec(c.req.header('authorization') ?? '')?.[1];
    if (given === undefined)
      throw new PgtwinError('unauthorized', { detail: 'The request has no bearer token.' });
    const hash = hashOf(given);
    const found = tokens.filter((token) => timingSafeEqual(token.hash, hash))[0];
    if (!found)
      throw new PgtwinError('unauthorized', { detail: 'The bearer token is not one of this service.' });
    c.set('actor', found.name);
    c.set('role', found.role);
    await next();
  };
}

/** Refuses with `forbidden` a token whose role stands below `least`. */
export function requireRole(least: Role): MiddlewareHandler<{ Variables: ApiVariables }> {
  return async (c, next) => {
    const role = c.get('role');
    if (roles.indexOf(role) < roles.indexOf(least))
      throw new PgtwinError('forbidden', {
        detail: `This needs the role ${least}; the token ${c.get('actor')} has the role ${role}.`,
      });
    await next();
  };
}
