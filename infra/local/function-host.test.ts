import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { until } from '../../test/support/wait.ts';
import { type FunctionHost, type FunctionHostOptions, openFunctionHost } from './function-host.ts';

/** A function of its own for each test, as source text. */
async function open(
  source: string,
  options: Partial<FunctionHostOptions> = {},
  file = 'function.mjs',
): Promise<FunctionHost> {
  const folder = await mkdtemp(join(tmpdir(), 'pgtwin-function-'));
  const entry = join(folder, file);
  await writeFile(entry, source);
  const host = openFunctionHost({
    entry,
    functionName: 'tried',
    env: {},
    onLine: () => undefined,
    ...options,
  });
  onTestFinished(async () => {
    await host.kill();
    await rm(folder, { recursive: true, force: true });
  });
  return host;
}

test('a TypeScript module answers, with its own environment only, warm after the first time', async () => {
  const host = await open(
    `let calls: number = 0;
     export const handler = async (event: { n: number }, context: { functionName: string }) => {
       console.log('call of', context.functionName);
       return { n: event.n + 1, calls: ++calls, env: { ...process.env } };
     };`,
    { env: { ONLY: 'this' }, onLine: (line, stream) => lines.push(`${stream}: ${line}`) },
    'function.ts',
  );
  const lines: string[] = [];
  expect(await host.invoke({ n: 1 })).toEqual({ n: 2, calls: 1, env: { ONLY: 'this' } });
  expect(await host.invoke({ n: 5 })).toMatchObject({ n: 6, calls: 2 });
  expect(host.environments).toHaveLength(1);
  await until('two lines', async (saw) => {
    saw(lines);
    return lines.length === 2;
  });
  expect(lines).toEqual(['stdout: call of tried', 'stdout: call of tried']);
});

test('one invocation at a time per environment, as many environments as needed up to the limit', async () => {
  const host = await open(
    `let running = 0;
     export const handler = async () => {
       const now = ++running;
       await new Promise((done) => setTimeout(done, 20));
       running--;
       return now;
     };`,
    { concurrency: 2 },
  );
  expect(await Promise.all(Array.from({ length: 8 }, () => host.invoke({})))).toEqual(Array(8).fill(1));
  expect(host.environments).toHaveLength(2);
  const last = host.invoke({});
  await host.stop();
  expect(await last).toBe(1);
  expect(host.environments).toEqual([]);
});

test('environments that were warmed take a kind each: the second one is not started under load', async () => {
  const host = await open(`export const handler = async () => process.pid;`, {
    concurrency: 3,
    kindOf: (event) => (event as { kind: string }).kind,
  });
  await host.warm(2);
  const warmed = new Set(host.environments);
  expect(warmed.size).toBe(2);
  const one = await host.invoke<number>({ kind: 'a' });
  const other = await host.invoke<number>({ kind: 'b' });
  expect(new Set([one, other])).toEqual(warmed);
  expect(await host.invoke({ kind: 'a' })).toBe(one);
  await host.warm(9);
  expect(host.environments).toHaveLength(3);
});

test('who waits takes what is free first: an environment that starts may take long', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pgtwin-loads-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const host = await open(
    `import { mkdir } from 'node:fs/promises';
     // The second one never ends to load.
     await mkdir(process.env.LOADED).catch(() => new Promise((never) => setTimeout(never, 1_000_000)));
     export const handler = async ({ ms }) => new Promise((done) => setTimeout(done, ms, process.pid));`,
    { concurrency: 2, env: { LOADED: join(folder, 'once') } },
  );
  const [one, other] = await Promise.all([host.invoke({ ms: 20 }), host.invoke({ ms: 0 })]);
  expect(other).toBe(one);
  expect(host.environments).toHaveLength(2);
});

test('invocations of one kind go where those before them went, if that one is free', async () => {
  const host = await open(
    `export const handler = async () => new Promise((done) => setTimeout(done, 20, process.pid));`,
    { concurrency: 2, kindOf: (event) => (event as { kind: string }).kind },
  );
  const both = () => Promise.all(['a', 'b'].map((kind) => host.invoke<number>({ kind })));
  await until('two environments at work', async (saw) => {
    const pids = await both();
    saw(pids);
    return pids[0] !== pids[1];
  });
  const [a, b] = await both();
  for (const [kind, pid] of [
    ['b', b],
    ['a', a],
    ['a', a],
    ['b', b],
    ['b', b],
  ] as const)
    expect(await host.invoke({ kind })).toBe(pid);
});

test('an error of the handler is the cause, its text is not in the message, and the environment lives on', async () => {
  const host = await open(
    `let calls = 0;
     export const handler = async () => {
       if (calls++ > 0) return calls;
       throw Object.assign(new RangeError('value 4711 refused'), { code: '22003' });
     };`,
  );
  await expect(host.invoke({})).rejects.toMatchObject({
    code: 'function-failed',
    message: 'Function tried threw: RangeError 22003.',
    cause: { name: 'RangeError', message: 'value 4711 refused', code: '22003' },
  });
  expect(await host.invoke({})).toBe(2);
});

test('kill ends what runs at once and closes its sockets; the next invocation starts afresh', async () => {
  const server = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    await new Promise((done) => server.close(done));
  });
  const { port } = server.address() as { port: number };
  const host = await open(
    `import { connect } from 'node:net';
     let calls = 0;
     export const handler = async ({ port }) => {
       calls++;
       if (!port) return calls;
       connect(port, '127.0.0.1');
       await new Promise(() => undefined);
     };`,
  );
  const connected = once(server, 'connection');
  const invocation = host.invoke({ port });
  const [socket] = await connected;
  socket.resume();
  const closed = once(socket, 'close');
  const rejected = expect(invocation).rejects.toMatchObject({ code: 'function-failed' });
  await host.kill();
  await Promise.all([closed, rejected]);
  expect(await host.invoke({})).toBe(1);
});

test('a busy loop can be killed as well, and ends at its time-out', async () => {
  const source = `export const handler = async ({ loop }) => { while (loop); return 'done'; };`;
  const host = await open(source, { timeoutMs: 300 });
  await expect(host.invoke({ loop: true })).rejects.toMatchObject({ code: 'function-timeout' });
  expect(await host.invoke({ loop: false })).toBe('done');
});

test('running out of memory ends the environment, not the host', async () => {
  const host = await open(
    `export const handler = async ({ grow }) => {
       const all = [];
       while (grow) all.push(new Array(1000).fill({}));
       return 'done';
     };`,
    { memoryMb: 32 },
  );
  await expect(host.invoke({ grow: true })).rejects.toMatchObject({
    code: 'function-failed',
    message: 'Function tried ended (SIGABRT).',
  });
  expect(await host.invoke({ grow: false })).toBe('done');
});

test('an environment ends when its host is killed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pgtwin-function-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const entry = join(folder, 'function.mjs');
  await writeFile(entry, 'export const handler = async () => new Promise(() => undefined);');
  const module = new URL('./function-host.ts', import.meta.url).href;
  const host = spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `const { openFunctionHost } = await import(${JSON.stringify(module)});
       const host = openFunctionHost({ entry: ${JSON.stringify(entry)}, functionName: 'tried', env: {} });
       await host.warm();
       console.log(host.environments[0]);
       await host.invoke({});`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const pid = Number((await once(host.stdout, 'data'))[0]);
  expect(process.kill(pid, 0)).toBe(true);
  host.kill('SIGKILL');
  await until('the environment to end', async () => {
    // A dead process that nobody has collected yet is a zombie without a command line.
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return commandLine === '';
  });
});

test('a module that can not be loaded fails each invocation, and tells why', async () => {
  const host = await open(`export const other = 1;`);
  await expect(host.warm()).rejects.toMatchObject({
    code: 'function-failed',
    cause: { message: expect.stringContaining('exports no function named handler') },
  });
  await expect(host.invoke({})).rejects.toMatchObject({ code: 'function-failed' });
});
