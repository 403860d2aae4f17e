import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { afterEach, expect, test } from 'vitest';
import { createFunction } from '../test/support/test-function.ts';
import { until } from '../test/support/wait.ts';
import { descendants, isRunning } from './process.ts';
import { noted } from './running.ts';
import { stopLocalStacks } from './stop.ts';

const started: { script: ChildProcess; endpoint: string }[] = [];
const portOf = (endpoint: string): number => Number(new URL(endpoint).port);
const isNoted = (endpoint: string): boolean => noted().some((running) => running.endpoint === endpoint);

afterEach(async () => {
  for (const { script, endpoint } of started.splice(0)) {
    script.kill('SIGKILL');
    await stopLocalStacks({ report: () => {}, port: portOf(endpoint) });
  }
});

/** Runs the script until it is ready, with a function and a table in it, so that every kind of process is there. */
async function startScript() {
  const script = spawn(process.execPath, [path.join(import.meta.dirname, 'start.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  let endpoint = '';
  for await (const line of createInterface({ input: script.stdout })) {
    lines.push(line);
    endpoint ||= /ready at (\S+)/.exec(line)?.[1] ?? '';
    if (line.startsWith('export AWS_DEFAULT_REGION')) break;
  }
  started.push({ script, endpoint });
  const client = {
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  };
  const lambda = new LambdaClient(client);
  await createFunction(lambda, { name: 'idle', source: 'export const handler = async () => "here";' });
  await lambda.send(new InvokeCommand({ FunctionName: 'idle' }));
  await new DynamoDBClient(client).send(
    new CreateTableCommand({
      TableName: 'idle',
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    }),
  );
  const running = noted().find((each) => each.endpoint === endpoint);
  const processes = running?.kind === 'host' ? [running.pid, ...descendants(running.pid)] : [];
  return { script, endpoint, lines, kind: running?.kind, processes };
}

const allGone = (processes: readonly number[]) =>
  until('the end of every process', async (saw) => {
    const left = processes.filter(isRunning);
    saw(left);
    return left.length === 0;
  });

test('the script says how to use it and stops what it started on Ctrl-C', async () => {
  const { script, endpoint, lines, kind, processes } = await startScript();
  expect(lines).toContain(`export AWS_ENDPOINT_URL=${endpoint}`);
  if (kind === 'host') expect(processes.length).toBeGreaterThanOrEqual(4); // Python, shell, Java, function
  const exit = once(script, 'exit');
  script.kill('SIGINT');
  expect(await exit).toEqual([0, null]);
  expect(processes.filter(isRunning)).toEqual([]);
  expect(isNoted(endpoint)).toBe(false);
  await expect(fetch(endpoint)).rejects.toThrow();
});

test('nothing stays when the script is killed, at the latest after stop.ts', async () => {
  const { script, endpoint, kind, processes } = await startScript();
  const exit = once(script, 'exit');
  script.kill('SIGKILL');
  await exit;
  if (kind === 'host') await allGone(processes);
  await stopLocalStacks({ report: () => {}, port: portOf(endpoint) });
  expect(isNoted(endpoint)).toBe(false);
  await expect(fetch(endpoint)).rejects.toThrow();
});

test('when LocalStack itself is killed, its processes end and the script notices', async () => {
  const { script, endpoint, kind, processes } = await startScript();
  const exit = once(script, 'exit');
  if (kind === 'host') process.kill(processes[0] ?? 0, 'SIGKILL');
  else await stopLocalStacks({ report: () => {}, port: portOf(endpoint) });
  expect(await exit).toEqual([0, null]);
  await allGone(processes);
});
