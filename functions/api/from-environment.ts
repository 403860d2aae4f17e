import { fileURLToPath } from 'node:url';
import { openSecretStore } from '../../shared/aws/secret.ts';
import { openTable } from '../../shared/aws/table.ts';
import { type Environment, readEnvironment } from '../../shared/config/env.ts';
import { openLog } from '../../shared/log/log.ts';
import { Repository } from '../../shared/task/repository.ts';
import { parsePrincipals, parseTokens } from './auth.ts';
import type { ApiDeps } from './deps.ts';

/** The adapters that the environment names. Tokens come from a variable, or from a secret of the same content. */
export async function depsFromEnvironment(): Promise<{ deps: ApiDeps; environment: Environment }> {
  const environment = readEnvironment();
  const secrets = openSecretStore(environment.PGTWIN_SECRETS);
  const reference = environment.PGTWIN_API_TOKENS_SECRET;
  const text = environment.PGTWIN_API_TOKENS ?? (reference ? await secrets.get(reference) : undefined);
  const now = () => new Date();
  const deps: ApiDeps = {
    ...{ secrets, now },
    repository: new Repository(openTable(environment.PGTWIN_TABLE), now),
    tokens: parseTokens(text),
    mostTables: environment.PGTWIN_MOST_TABLES,
    principals: parsePrincipals(environment.PGTWIN_API_PRINCIPALS),
    // The build puts the console beside the bundle, which this file is then part of.
    consoleFolder: environment.PGTWIN_CONSOLE ?? fileURLToPath(new URL('./console', import.meta.url)),
    log: openLog({ levels: environment.PGTWIN_LOG, area: 'api' }),
  };
  return { deps, environment };
}
