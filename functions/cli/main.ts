import { readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { readCommandVariables } from '../../shared/config/command.ts';
import type { Io } from './io.ts';
import { run } from './run.ts';

/** Asks on the error stream, so that the answer of the command can be sent elsewhere. */
async function ask(
  question: string,
  { hidden = false }: { readonly hidden?: boolean } = {},
): Promise<string> {
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({
    input: process.stdin,
    output: hidden ? silent : process.stderr,
    terminal: true,
  });
  reader.once('SIGINT', () => {
    process.stderr.write('\n');
    process.exit(130);
  });
  try {
    return await new Promise<string>((answer) => {
      reader.once('line', answer);
      // Ctrl-D
      reader.once('close', () => answer(''));
    });
  } finally {
    reader.close();
    if (hidden) process.stderr.write('\n');
  }
}

const { stdin, stdout, stderr } = process;
// A reader that ends early, such as head, is no failure.
stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
const io: Io = {
  out: stdout,
  err: stderr,
  terminal: stdout.isTTY === true,
  colours: stdout.isTTY === true && stdout.hasColors(),
  variables: readCommandVariables(),
  ask: stdin.isTTY && stderr.isTTY ? ask : undefined,
  readFile: (path) => (path === '-' ? text(stdin) : readFile(path, 'utf8')),
  writeFile: (path, content) => writeFile(path, content),
  signal: new AbortController().signal,
};
process.exitCode = await run(process.argv.slice(2), io);
