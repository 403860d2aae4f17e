import { createApp } from '../../functions/api/app.ts';
import type { Io } from '../../functions/cli/io.ts';
import { run } from '../../functions/cli/run.ts';
import type { CommandVariables } from '../../shared/config/command.ts';
import { type TestApi, tokens } from './api.ts';

export type Ran = { readonly code: number; readonly out: string; readonly err: string };
export type Given = {
  readonly variables?: CommandVariables;
  readonly files?: Readonly<Record<string, string>>;
  /** Answers to what is asked, in order; without it nobody can be asked. */
  readonly answers?: readonly string[];
  readonly terminal?: boolean;
  readonly colours?: boolean;
  readonly signal?: AbortSignal;
  /** Told of all that is written to the output. */
  readonly onOutput?: (text: string) => void;
};
export type CommandLine = {
  (line: string | readonly string[], given?: Given): Promise<Ran>;
  /** What was asked, with a mark where the answer is not to be seen. */
  readonly asked: string[];
};

/** Runs command lines in this process against an API in memory. A line is cut at spaces. */
export function openCommandLine(api: TestApi): CommandLine {
  const app = createApp(api.deps);
  const asked: string[] = [];
  const command = async (line: string | readonly string[], given: Given = {}): Promise<Ran> => {
    let out = '';
    let err = '';
    const answers = [...(given.answers ?? [])];
    const io: Io = {
      out: {
        columns: 200,
        write: (text) => {
          out += text;
          given.onOutput?.(text);
        },
      },
      err: {
        write: (text) => {
          err += text;
        },
      },
      terminal: given.terminal ?? false,
      colours: given.colours ?? false,
      variables: { PGTWIN_API: 'http://api.example.com', PGTWIN_TOKEN: tokens.admin, ...given.variables },
      ask: given.answers
        ? async (question, how) => {
            asked.push(`${how?.hidden ? '(hidden) ' : ''}${question}`);
            return answers.shift() ?? '';
          }
        : undefined,
      readFile: async (path) => {
        const text = given.files?.[path];
        if (text === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
        return text;
      },
      writeFile: async () => {},
      fetch: (url, init) => app.request(url.replace('http://api.example.com', ''), init),
      signal: given.signal ?? new AbortController().signal,
    };
    const code = await run(typeof line === 'string' ? line.split(' ') : line, io);
    return { code, out, err };
  };
  return Object.assign(command, { asked });
}
