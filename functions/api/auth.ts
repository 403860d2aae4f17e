import { createHash, timingSafeEqual } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';

/** Each role may do what those before it may. */
export const roles = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof roles)[number];
/** A bearer token: its name is the actor of events, the token itself is kept as a hash only. */
export type Token = { readonly name: string; readonly role: Role; readonly hash: Buffer };
/** What the middleware tells the routes of a request: who it is. */
export type ApiVariables = {
  actor: string;
  role: Role;
  /** What the audit log is told besides the operation: short, without passwords. */
  note?: string;
  /** The id for what the request makes, where it has an Idempotency-Key. */
  reserved?: { id: string; takenOver: boolean };
};
/** IAM principals by pattern of their ARN (`*` stands for any run of characters), and the role that they have. */
export type Principal = { readonly arn: RegExp; readonly role: Role };

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

export const tokenOf = (name: string, role: Role, token: string): Token => ({
  name,
  role,
  hash: hashOf(token),
});

const HASHED = /^sha256:([0-9a-f]{64})$/i;

/**
 * Reads `name:role:token,…`, where `sha256:<hex>` may stand for a token; throws `environment-invalid` that names the
 * entry by its place, never by its text.
 */
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
    const hashed = HASHED.exec(token)?.[1];
    return hashed
      ? { name, role: role as Role, hash: Buffer.from(hashed, 'hex') }
      : tokenOf(name, role as Role, token);
  });
  const twice = tokens.find(({ name }, index) => tokens.findIndex((other) => other.name === name) < index);
  if (twice)
    throw new PgtwinError('environment-invalid', {
      detail: `PGTWIN_API_TOKENS has the name ${twice.name} twice.`,
    });
  return tokens;
}

/** Reads `role=arn-pattern,…`; throws `environment-invalid` that names the entry. */
export function parsePrincipals(text: string | undefined): Principal[] {
  const entries = (text ?? '').split(',').map((entry) => entry.trim());
  return entries.filter(Boolean).map((entry) => {
    const [role = '', pattern = ''] = entry.split(/=(.*)/s);
    if (!(roles as readonly string[]).includes(role) || !/^arn:[^\s,]+$/.test(pattern))
      throw new PgtwinError('environment-invalid', {
        detail: `PGTWIN_API_PRINCIPALS: ${entry} is not role=arn-pattern with a role of ${roles.join(', ')}.`,
      });
    const escaped = pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
    return { arn: new RegExp(`^${escaped}$`), role: role as Role };
  });
}

/**
 * The IAM principal whose signature Lambda has checked, at a function URL that asks for one. The ARN comes with the
 * event beside the request, where no client can write.
 */
function principalOf(c: Context): string | undefined {
  const { event } = (c.env ?? {}) as { event?: { requestContext?: { authorizer?: unknown } } };
  const { iam } = (event?.requestContext?.authorizer ?? {}) as { iam?: { userArn?: unknown } };
  return typeof iam?.userArn === 'string' ? iam.userArn : undefined;
}

/** The highest role that one of the patterns gives. */
function roleOf(arn: string, principals: readonly Principal[]): Role | undefined {
  const given = principals.filter((principal) => principal.arn.test(arn)).map(({ role }) => role);
  return roles.findLast((role) => given.includes(role));
}

/**
 * Puts the name and role of a token, or of an IAM principal, into the request. Every token is compared, each in
 * constant time over hashes, so that the duration says nothing of the tokens.
 */
export function authenticate(
  tokens: readonly Token[],
  principals: readonly Principal[] = [],
): MiddlewareHandler<{ Variables: ApiVariables }> {
  return async (c, next) => {
    const arn = principalOf(c);
    if (arn !== undefined) {
      const role = roleOf(arn, principals);
      if (!role)
        throw new PgtwinError('forbidden', {
          detail: `The principal ${arn} has no role here: PGTWIN_API_PRINCIPALS names those that have one.`,
        });
      c.set('actor', arn);
      c.set('role', role);
      return next();
    }
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

/** Refuses with `forbidden` a caller whose role stands below `least`. */
export function requireRole(least: Role): MiddlewareHandler<{ Variables: ApiVariables }> {
  return async (c, next) => {
    assertRole(c, least);
    await next();
  };
}

/** For what only a part of a request needs. Throws `forbidden`. */
export function assertRole(c: Context<{ Variables: ApiVariables }>, least: Role): void {
  const role = c.get('role');
  if (roles.indexOf(role) < roles.indexOf(least))
    throw new PgtwinError('forbidden', {
      detail: `This needs the role ${least}; ${c.get('actor')} has the role ${role}.`,
    });
}
