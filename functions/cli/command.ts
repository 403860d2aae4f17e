import { parseArgs } from 'node:util';
import type { ApiClient } from '../../shared/client/client.ts';
import type { Paint } from '../../shared/client/precheck-text.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Io } from './io.ts';

/** What a command ends with; also in the help and the README. */
export const exitCodes = {
  0: 'done',
  1: 'refused or failed; a precheck that is not ready; leftovers after a release',
  2: 'the command line is wrong',
  3: 'the API can not be reached',
} as const;
export type ExitCode = keyof typeof exitCodes;

export type OptionSpec = {
  readonly type: 'string' | 'boolean';
  readonly help: string;
  /** What stands for the value in the help. */
  readonly value?: string;
  readonly short?: string;
  readonly multiple?: true;
  readonly choices?: readonly string[];
};
export type OptionSpecs = Readonly<Record<string, OptionSpec>>;
type ValueOf<Spec extends OptionSpec> = Spec extends { type: 'boolean' }
  ? boolean
  : Spec extends { choices: readonly (infer Choice)[] }
    ? Choice
    : string;
export type Values<Specs extends OptionSpecs> = {
  readonly [Name in keyof Specs]?: Specs[Name] extends { multiple: true }
    ? readonly ValueOf<Specs[Name]>[]
    : ValueOf<Specs[Name]>;
};

/** What a command works with, beside its own options. */
export type Context = {
  readonly io: Io;
  readonly api: ApiClient;
  readonly json: boolean;
  readonly paint: Paint;
  /** One line for a person; nothing with --json. */
  say(line: string): void;
  /** The answer with --json; nothing without. */
  print(value: unknown): void;
};

type Definition<Specs extends OptionSpecs> = {
  /** The words that call it. */
  readonly name: string;
  readonly summary: string;
  /** Its arguments as the help shows them. */
  readonly arguments?: string;
  readonly most?: number;
  readonly least?: number;
  readonly options?: Specs;
  /** Further paragraphs of the help. */
  readonly about?: readonly string[];
  readonly examples?: readonly string[];
  /** Whether the API answers without a token. */
  readonly tokenless?: boolean;
  readonly run: (context: Context, values: Values<Specs>, given: readonly string[]) => Promise<ExitCode>;
};
export type Command = Omit<Definition<OptionSpecs>, 'run'> & {
  readonly run: (context: Context, parsed: Parsed) => Promise<ExitCode>;
};
export type Parsed = {
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
  readonly positionals: readonly string[];
};

/** A command whose `run` gets its options typed by their own descriptions. */
export function defineCommand<const Specs extends OptionSpecs>(definition: Definition<Specs>): Command {
  return {
    ...definition,
    run: (context, { values, positionals }) => definition.run(context, values as Values<Specs>, positionals),
  };
}

export const globalOptions = {
  api: { type: 'string', value: 'URL', help: 'address of the API (PGTWIN_API; else the local platform)' },
  token: { type: 'string', value: 'TOKEN', help: 'its bearer token; PGTWIN_TOKEN keeps it off the screen' },
  json: { type: 'boolean', help: 'answer as JSON' },
  help: { type: 'boolean', short: 'h', help: 'show this' },
} as const satisfies OptionSpecs;

/** A command line that can not be understood: exit code 2. */
export const usageError = (detail: string): PgtwinError =>
  new PgtwinError('invalid-request', { detail, usage: true });

/** Reads the options of a command; throws a usage error that names the option, never its value. */
export function parseOptions(command: Command, args: readonly string[]): Parsed {
  const specs: OptionSpecs = { ...command.options, ...globalOptions };
  const parsed = parseStrict(specs, args);
  for (const [name, value] of Object.entries(parsed.values)) {
    const choices = specs[name]?.choices;
    for (const each of [value].flat())
      if (choices && !choices.includes(String(each)))
        throw usageError(`--${name} must be ${inWords(choices)}`);
  }
  const { length } = parsed.positionals;
  const { least = 0, most = least } = command;
  // Arguments are not repeated: one may be a URL with a password.
  if (length > most)
    throw usageError(most === 0 ? 'takes no arguments' : `takes at most ${most} argument(s)`);
  if (length < least && !parsed.values['help']) throw usageError(`needs ${command.arguments}`);
  return parsed;
}

function parseStrict(specs: OptionSpecs, args: readonly string[]): Parsed {
  const options = Object.fromEntries(
    Object.entries(specs).map(([name, { type, short, multiple }]) => [
      name,
      { type, ...(short ? { short } : {}), ...(multiple ? { multiple } : {}) },
    ]),
  );
  try {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options });
    return { values, positionals };
  } catch (error) {
    const { code, message } = error as Error & { code?: string };
    const unknown = code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' && /'(-[^']*)'/.exec(message)?.[1];
    throw usageError(unknown ? `unknown option ${unknown}` : (message.split(/[.\n]/)[0] ?? message));
  }
}

export const inWords = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;

/** A whole number given as text; throws a usage error. */
export function integerOf(text: string | undefined, option: string, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 1_000_000)
    throw usageError(`${option} must be a whole number from 1 to 1000000`);
  return value;
}
