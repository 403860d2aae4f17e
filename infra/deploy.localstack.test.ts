import http from 'node:http';
import { CloudWatchLogsClient, FilterLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { beforeAll, expect, inject, test } from 'vitest';
import { readEnvironment } from '../shared/config/env.ts';
import { until } from '../test/support/wait.ts';
import { type Deployed, deployLocal } from './deploy-local.ts';

const { endpoint } = inject('localstack');
const aws = {
  endpoint,
  region: 'us-east-1',
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
};
let deployed: Deployed;
beforeAll(async () => {
  // A prefix of its own: other tests deploy to the same LocalStack.
  deployed = await deployLocal({ endpoint, context: { prefix: 'deployed' } });
});

/** A request to the function URL, by the gateway's address. */
function call(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: unknown }> {
  const { hostname, port } = new URL(endpoint);
  return new Promise((resolve, reject) => {
    const request = http.get(
      { hostname, port, path, headers: { host: deployed.apiHost, ...headers } },
      async (answer) => {
        const text = (await answer.setEncoding('utf8').toArray()).join('');
        resolve({ status: answer.statusCode ?? 0, body: JSON.parse(text) });
      },
    );
    request.once('error', reject);
  });
}

test('the API answers at its function URL, only to the token that the deployment made', async () => {
  expect(await call('/v1/pairs')).toMatchObject({ status: 401, body: { status: 401 } });
  const wrong = await call('/v1/pairs', { authorization: 'Bearer not-the-right-token' });
  expect(wrong.status).toBe(401);
  const right = await call('/v1/pairs', { authorization: `Bearer ${deployed.token}` });
  expect(right).toMatchObject({ status: 200, body: { pairs: [] } });
});

test('the monitor runs and writes metrics to its log group', async () => {
  const FunctionName = deployed.outputs['MonitorFunctionName'];
  const invoked = await new LambdaClient(aws).send(new InvokeCommand({ FunctionName }));
  expect(invoked.FunctionError).toBeUndefined();
  const logs = new CloudWatchLogsClient(aws);
  const line = await until('the metric line', async () => {
    const asked = { logGroupName: `/aws/lambda/${FunctionName}`, filterPattern: 'TasksFailed' };
    const { events = [] } = await logs.send(new FilterLogEventsCommand(asked));
    // LocalStack keeps all that one invocation wrote as one event.
    return events.flatMap((e) => e.message?.split('\n') ?? []).find((l) => l.includes('"TasksFailed"'));
  });
  expect(JSON.parse(line)).toMatchObject({ Environment: 'deployed', TasksFailed: 0 });
});

test('the environment for a capture is whole', () => {
  const environment = readEnvironment(deployed.captureEnvironment);
  expect(environment).toMatchObject({ PGTWIN_PREFIX: 'deployed', PGTWIN_APPLY_FUNCTION: 'deployed-apply' });
  expect(environment.PGTWIN_COPY_QUEUE_URL).toContain('deployed-copy');
});

test('deploying again changes nothing, and the token stays', async () => {
  const again = await deployLocal({ endpoint, context: { prefix: 'deployed' } });
  expect(again).toEqual(deployed);
});
