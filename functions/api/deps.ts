import type { Log } from '../../shared/log/log.ts';
import type { SecretStore } from '../../shared/task/ports.ts';
import type { Repository } from '../../shared/task/repository.ts';
import type { ApiVariables, Principal, Token } from './auth.ts';

/** What the API needs from outside; nothing is opened at import. */
export type ApiDeps = {
  readonly repository: Repository;
  readonly secrets: SecretStore;
  readonly tokens: readonly Token[];
  /** IAM principals that have a role, where the function URL asks for IAM. */
  readonly principals?: readonly Principal[];
  readonly log: Log;
  readonly now: () => Date;
  /** How long a database may take to answer a login. Default 5 s. */
  readonly connectTimeoutMs?: number;
  /** Most tables in one task. Default 5,000. */
  readonly mostTables?: number;
  /** Folder of the built console; without it there is none. */
  readonly consoleFolder?: string;
};

export type ApiEnv = { Variables: ApiVariables };

export const connectTimeoutOf = (deps: ApiDeps): number => deps.connectTimeoutMs ?? 5_000;
