import type { OpenAPIHono, RouteConfig, z } from '@hono/zod-openapi';
import type { Role } from './auth.ts';
import type { ApiEnv } from './deps.ts';

/** What the API can be asked for, as its routes say. */
export type Operation = {
  readonly operationId: string;
  readonly method: string;
  /** With parameters as OpenAPI writes them: `/v1/pairs/{id}`. */
  readonly path: string;
  readonly role: Role;
  readonly body: z.ZodType | undefined;
  readonly bodyRequired: boolean;
  readonly takesIfMatch: boolean;
  readonly takesKey: boolean;
};
export type Found = {
  readonly operationId: string;
  readonly parameters: Readonly<Record<string, string | undefined>>;
};

type Matching = Operation & { readonly pattern: RegExp };

/** The role that a route asks for; stands in OpenAPI too. */
export const ROLE = 'x-pgtwin-role';

/** Looks up operations by id, and by what a request says; made of the app's routes when first asked. */
export class Operations {
  readonly #app: OpenAPIHono<ApiEnv>;
  #all: readonly Matching[] | undefined;

  constructor(app: OpenAPIHono<ApiEnv>) {
    this.#app = app;
  }

  /** The operation that a request is, with its parameters. */
  at(method: string, path: string): Found | undefined {
    for (const { operationId, pattern, method: own } of this.#read()) {
      const match = own === method ? pattern.exec(path) : null;
      if (match) return { operationId, parameters: { ...match.groups } };
    }
    return undefined;
  }

  /** The methods that a path has. */
  methodsAt(path: string): string[] {
    return this.#read()
      .filter(({ pattern }) => pattern.test(path))
      .map(({ method }) => method);
  }

  get(operationId: string): Operation | undefined {
    return this.#read().find((operation) => operation.operationId === operationId);
  }

  get ids(): string[] {
    return this.#read().map(({ operationId }) => operationId);
  }

  #read(): readonly Matching[] {
    this.#all ??= this.#app.openAPIRegistry.definitions.flatMap((definition) =>
      definition.type === 'route' ? [operationOf(definition.route as RouteConfig)] : [],
    );
    return this.#all;
  }
}

function operationOf(route: RouteConfig): Matching {
  const { headers, body } = route.request ?? {};
  const given = Object.keys((headers as { shape?: object } | undefined)?.shape ?? {});
  const media = body?.content['application/json'] as { schema?: z.ZodType } | undefined;
  const role = (route as unknown as Record<string, unknown>)[ROLE] as Role | undefined;
  const pattern = route.path.replaceAll('.', '\\.').replace(/\{(\w+)\}/g, '(?<$1>[^/]+)');
  return {
    operationId: route.operationId ?? '',
    method: route.method.toUpperCase(),
    path: route.path,
    role: role ?? 'viewer',
    body: media?.schema,
    bodyRequired: body?.required ?? false,
    takesIfMatch: given.includes('if-match'),
    takesKey: given.includes('idempotency-key'),
    pattern: new RegExp(`^${pattern}$`),
  };
}
