import { commandVariables } from '../../shared/config/command.ts';
import {
  type Command,
  exitCodes,
  globalOptions,
  inWords,
  type OptionSpec,
  type OptionSpecs,
} from './command.ts';

type Row = readonly [name: string, text: string];

function block(title: string, rows: readonly Row[]): string[] {
  if (rows.length === 0) return [];
  const width = Math.min(34, Math.max(...rows.map(([name]) => name.length)));
  return ['', `${title}:`, ...rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`)];
}

const optionRows = (specs: OptionSpecs): Row[] =>
  Object.entries(specs).map(([name, spec]) => [nameOf(name, spec), textOf(spec)]);

const nameOf = (name: string, { short, value, type }: OptionSpec): string =>
  `${short ? `-${short}, ` : ''}--${name}${type === 'string' ? ` ${value ?? 'TEXT'}` : ''}`;

const textOf = ({ help, choices, multiple }: OptionSpec): string =>
  [help, ...(choices ? [inWords(choices)] : []), ...(multiple ? ['may be repeated'] : [])].join('; ');

const codeRows: Row[] = Object.entries(exitCodes);

/** The help of all. */
export const helpOfAll = (commands: readonly Command[]): string =>
  [
    'pgtwin keeps two PostgreSQL databases in step, in both directions.',
    '',
    'Usage: pgtwin COMMAND [arguments] [options]',
    ...block(
      'Commands',
      commands.map(({ name, summary }) => [name, summary]),
    ),
    ...block('Options of every command', optionRows(globalOptions)),
    ...block('Environment', Object.entries(commandVariables)),
    ...block('Exit codes', codeRows),
    '',
    'PAIR is the id of a pair or its name; it may be left out where there is only one.',
    '"pgtwin COMMAND --help" tells more.',
    '',
  ].join('\n');

export const usageOf = ({ name, arguments: given }: Command): string =>
  `pgtwin ${name}${given ? ` ${given}` : ''} [options]`;

/** The help of one command. */
export const helpOf = (command: Command): string =>
  [
    `${command.summary}.`,
    '',
    `Usage: ${usageOf(command)}`,
    ...(command.about ?? []).flatMap((paragraph) => ['', paragraph]),
    ...block('Options', optionRows(command.options ?? {})),
    ...block('Options of every command', optionRows(globalOptions)),
    ...(command.examples ? ['', 'Examples:', ...command.examples.map((line) => `  ${line}`)] : []),
    ...block('Exit codes', codeRows),
    '',
  ].join('\n');
