import packageFacts from '../../package.json' with { type: 'json' };
import { openApiClient } from '../../shared/client/client.ts';
import { asPgtwinError, type PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import {
  type Command,
  type Context,
  type ExitCode,
  type Parsed,
  parseOptions,
  usageError,
} from './command.ts';
import { commands } from './commands.ts';
import { findApi } from './connect.ts';
import { helpOf, helpOfAll, usageOf } from './help.ts';
import { type Io, painter } from './io.ts';

/** Runs one command line; everything it finds wrong is told on `err`. */
export async function run(args: readonly string[], io: Io): Promise<ExitCode> {
  let command: Command | undefined;
  try {
    if (args.length === 0 || ['help', '--help', '-h'].includes(args[0]!)) {
      const wanted = findCommand(args.slice(1));
      io.out.write(wanted ? helpOf(wanted.command) : helpOfAll(commands));
      return args.length === 0 ? 2 : 0;
    }
    if (args[0] === '--version') {
      io.out.write(`${packageFacts.version}\n`);
      return 0;
    }
    const found = findCommand(args);
    if (!found) throw usageError(unknownCommand(args));
    command = found.command;
    const parsed = parseOptions(command, found.rest);
    if (parsed.values['help']) {
      io.out.write(helpOf(command));
      return 0;
    }
    return await command.run(await contextOf(command, parsed, io), parsed);
  } catch (error) {
    io.signal.throwIfAborted();
    return tell(asPgtwinError(error), command, args.includes('--json'), io);
  }
}

/** The command with the most words that the arguments begin with. */
function findCommand(args: readonly string[]): { command: Command; rest: readonly string[] } | undefined {
  const fitting = commands
    .map((command) => ({ command, words: command.name.split(' ') }))
    .filter(({ words }) => words.every((word, n) => args[n] === word))
    .sort((one, other) => other.words.length - one.words.length);
  const best = fitting[0];
  return best && { command: best.command, rest: args.slice(best.words.length) };
}

function unknownCommand(args: readonly string[]): string {
  const [first = ''] = args;
  if (first.startsWith('-')) return `the command comes first, then options such as ${first.split('=')[0]}`;
  const under = commands.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) => name);
  if (under.length > 0) return `which one: ${under.join(', ')}?`;
  return `unknown command ${first}; there are ${commands.map(({ name }) => name).join(', ')}`;
}

async function contextOf(command: Command, { values }: Parsed, io: Io): Promise<Context> {
  const { api, token } = values as { api?: string; token?: string };
  const address = await findApi({ api, token }, io.variables, { tokenless: command.tokenless });
  const json = values['json'] === true;
  return {
    io,
    json,
    paint: painter(io),
    api: openApiClient({
      ...address,
      signal: io.signal,
      ...(io.fetch ? { fetch: io.fetch } : {}),
      ...(json ? {} : { reviver: withoutControls }),
    }),
    say: (line) => void (json || io.out.write(`${line}\n`)),
    print: (value) => void (json && io.out.write(`${JSON.stringify(value, null, 2)}\n`)),
  };
}

/** Names and texts of a database may hold what a terminal would obey. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
const withoutControls = (_key: string, value: unknown): unknown =>
  typeof value === 'string' ? value.replace(controls, '\ufffd') : value;

function tell(error: PgtwinError, command: Command | undefined, json: boolean, io: Io): ExitCode {
  const { code, message, facts } = error;
  const usage = facts['usage'] === true;
  const exit = usage ? 2 : code === 'api-unreachable' ? 3 : 1;
  const advice = String(facts['advice'] ?? error.rule.advice);
  if (json) {
    const { field } = facts;
    const shown = { code, detail: message, ...(usage ? {} : { advice }), ...(field ? { field } : {}) };
    io.err.write(`${JSON.stringify({ error: shown })}\n`);
    return exit;
  }
  const paint = painter(io);
  const name = command ? `pgtwin ${command.name}` : 'pgtwin';
  io.err.write(`${paint('red', `${name}:`)} ${message.replace(controls, '\ufffd')}\n`);
  if (usage)
    io.err.write(command ? `Usage: ${usageOf(command)}\nSee ${name} --help.\n` : 'See pgtwin --help.\n');
  else if (!message.includes(advice)) io.err.write(`${advice}\n`);
  return exit;
}
