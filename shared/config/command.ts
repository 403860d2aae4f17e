/** The environment variables that the command line reads, and what for. */
export const commandVariables = {
  PGTWIN_API: 'address of the API, such as https://pgtwin.example.com',
  PGTWIN_TOKEN: 'bearer token of the API',
  PGTWIN_HOME: 'folder of the local platform, used if no address is given (.pgtwin)',
  PGTWIN_A: 'database of side a for "pair create", as a URL',
  PGTWIN_B: 'database of side b',
  PGTWIN_A_PASSWORD: 'password of side a, if its URL has none',
  PGTWIN_B_PASSWORD: 'password of side b',
  PGPASSWORD: 'password of both sides, if nothing else gives it',
} as const;
export type CommandVariable = keyof typeof commandVariables;
export type CommandVariables = { readonly [Name in CommandVariable]?: string | undefined };

/** What is set and not empty. */
export function readCommandVariables(
  source: Readonly<Record<string, string | undefined>> = process.env,
): CommandVariables {
  const names = Object.keys(commandVariables) as CommandVariable[];
  return Object.fromEntries(names.flatMap((name) => (source[name] ? [[name, source[name]]] : [])));
}
