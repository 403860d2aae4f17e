import { createApp } from '../../functions/api/app.ts';
import { type Role, tokenOf } from '../../functions/api/auth.ts';
import type { ApiDeps } from '../../functions/api/deps.ts';
import { openLog } from '../../shared/log/log.ts';
import { Repository } from '../../shared/task/repository.ts';
import type { Pair } from '../../shared/task/schema.ts';
import {
  type MemorySecretStore,
  type MemoryTable,
  openMemorySecretStore,
  openMemoryTable,
} from './memory-table.ts';

export type Answer = {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any;
  readonly text: string;
};
type Options = {
  readonly as?: Role | 'nobody';
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly raw?: string;
  readonly headers?: Readonly<Record<string, string>>;
};

export type TestApi = {
  readonly deps: ApiDeps;
  readonly table: MemoryTable;
  readonly secrets: MemorySecretStore;
  readonly repository: Repository;
  /** The clock, to be moved by tests; null is the real one. */
  readonly clock: { at: Date | null };
  readonly logged: string[];
  /** One request, as admin unless said otherwise; `path` begins after `/v1`. */
  call(method: string, path: string, options?: Options): Promise<Answer>;
};

export const tokens: Readonly<Record<Role, string>> = {
  viewer: 'viewer-token-0123456789',
  operator: 'operator-token-0123456789',
  admin: 'admin-token-0123456789',
};

/** The API on a table and a secret store in memory, called without a server. */
export function openTestApi(more: Partial<ApiDeps> = {}): TestApi {
  const table = openMemoryTable();
  const secrets = openMemorySecretStore();
  const clock: TestApi['clock'] = { at: null };
  const now = () => clock.at ?? new Date();
  const logged: string[] = [];
  const repository = new Repository(table, now);
  const deps: ApiDeps = {
    ...{ repository, secrets, now },
    tokens: (Object.keys(tokens) as Role[]).map((role) => tokenOf(`the-${role}`, role, tokens[role])),
    log: openLog({ levels: 'debug', write: (line) => void logged.push(line) }),
    connectTimeoutMs: 3000,
    ...more,
  };
  const app = createApp(deps);
  const call: TestApi['call'] = async (method, path, { as = 'admin', body, raw, headers = {} } = {}) => {
    const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await app.request(path.startsWith('/') ? path : `/v1/${path}`, {
      method,
      headers: {
        ...(as === 'nobody' ? {} : { authorization: `Bearer ${tokens[as]}` }),
        ...(text === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(text === undefined ? {} : { body: text }),
    });
    const answer = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      headers: response.headers,
      body: isJson ? JSON.parse(answer) : undefined,
      text: answer,
    };
  };
  return { deps, table, secrets, repository, clock, logged, call };
}

const endpointOf = (name: string): Pair['sides']['a'] => ({
  host: `${name}.example.com`,
  port: 5432,
  database: 'shop',
  user: 'sync',
  secret: `local:${name}`,
  tls: 'require',
});

/** Stores a pair as if both databases had answered. */
export async function storePair({ repository }: TestApi, id = 'pair0001'): Promise<string> {
  await repository.createPair({
    ...{ id, name: 'shop', pool: 'default', arbiter: 'b', shards: 1, createdAt: '2026-01-01T00:00:00.000Z' },
    sides: { a: endpointOf('a'), b: endpointOf('b') },
  });
  return id;
}
