import { findLocalPlatform } from '../../shared/client/local-platform.ts';
import type { CommandVariables } from '../../shared/config/command.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { usageError } from './command.ts';

type Address = { readonly url: string; readonly token: string };

/** Where the API is, and as whom: options, then the environment, then the local platform of the folder. */
export async function findApi(
  given: { readonly api?: string | undefined; readonly token?: string | undefined },
  variables: CommandVariables,
  { tokenless = false }: { readonly tokenless?: boolean | undefined } = {},
): Promise<Address> {
  const url = given.api ?? variables.PGTWIN_API;
  const token = given.token ?? variables.PGTWIN_TOKEN;
  if (url !== undefined && !(/^https?:\/\//.test(url) && URL.canParse(url)))
    throw usageError('--api (or PGTWIN_API) must be an address such as https://pgtwin.example.com');
  if (url !== undefined && (token !== undefined || tokenless)) return { url, token: token ?? '' };
  const folder = variables.PGTWIN_HOME ?? '.pgtwin';
  const local = await findLocalPlatform(folder);
  if (url === undefined && local) return { url: local.url, token: token ?? local.token };
  if (url === undefined)
    throw new PgtwinError('api-unreachable', {
      detail: `No local platform runs on the folder ${folder}, and no other address is given.`,
      advice: 'Set PGTWIN_API and PGTWIN_TOKEN, or start a local platform.',
    });
  if (local && new URL(local.url).host === new URL(url).host) return { url, token: local.token };
  throw usageError('a token is needed: set PGTWIN_TOKEN, or give --token');
}
