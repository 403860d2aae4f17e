import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { noted } from '../localstack/running.ts';
import type { LocalStack } from '../localstack/settings.ts';
import { startLocalStack } from '../localstack/start.ts';
import { asPgtwinError, PgtwinError } from '../shared/errors/pgtwin-error.ts';
import { buildFunctions } from './build.ts';
import { cdk } from './cdk.ts';
import { deployLocal } from './deploy-local.ts';

const say = (line: string): void => console.log(line);

/** To the AWS account of the environment; further arguments go to `cdk deploy`. */
async function deployToAws(args: readonly string[]): Promise<void> {
  const region = await requireCredentials();
  say('bundling the functions into dist/');
  await buildFunctions({ report: say });
  say(
    `deploying the stacks "serverless" and "capture" to ${region}: the CDK builds the image of the capture`,
  );
  await cdk(['deploy', '--all', ...args]);
}

async function requireCredentials(): Promise<string> {
  const client = new DynamoDBClient();
  try {
    await client.config.credentials();
    return await client.config.region();
  } catch (cause) {
    throw new PgtwinError(
      'prerequisite-missing',
      {
        detail:
          'There are no AWS credentials and region here: run "aws configure", or set AWS_ACCESS_KEY_ID, ' +
          'AWS_SECRET_ACCESS_KEY and AWS_REGION, or AWS_PROFILE, and have run "npx cdk bootstrap" once.',
      },
      { cause },
    );
  } finally {
    client.destroy();
  }
}

/** To LocalStack: to a running one, else to one that lives until this command is stopped. */
async function deployToLocalStack(): Promise<void> {
  const running = await findLocalStack();
  const started = running ? undefined : await startLocalStack({ report: say });
  const endpoint = running ?? started?.endpoint ?? '';
  try {
    if (running) say(`using LocalStack at ${running}`);
    const { apiUrl, apiHost, token, captureEnvironment, outputs } = await deployLocal({
      endpoint,
      report: say,
    });
    say('');
    for (const [name, value] of Object.entries(outputs)) say(`${name}: ${value}`);
    say('');
    say(`API   ${apiUrl}`);
    say(`Token ${token}`);
    say('Call it through the gateway, whatever its host name resolves to:');
    say(`curl -H 'Host: ${apiHost}' -H 'Authorization: Bearer ${token}' ${endpoint}/v1/pairs`);
    say('The capture runs beside it, as a process of this machine:');
    const variables = Object.entries(captureEnvironment).map(([name, value]) => `${name}=${value}`);
    say(`env ${variables.join(' ')} npx node dist/capture/main.mjs`);
    if (started) await untilStopped(started);
  } finally {
    await started?.stop();
  }
}

/** One that AWS_ENDPOINT_URL names, or that localstack/start.ts started. Those of tests have other ports and end soon. */
async function findLocalStack(): Promise<string | undefined> {
  const named = process.env['AWS_ENDPOINT_URL'];
  const usual = noted().map((n) => n.endpoint);
  for (const endpoint of [named, ...usual.filter((e) => new URL(e).port === '4566')]) {
    if (!endpoint) continue;
    const health = new URL('/_localstack/health', endpoint);
    const answer = await fetch(health, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
    if (answer?.ok) return endpoint;
  }
  return undefined;
}

async function untilStopped(localstack: LocalStack): Promise<void> {
  say('');
  say('LocalStack runs until this command is stopped (Ctrl-C).');
  const alive = setInterval(() => {}, 60_000); // nothing else keeps this process
  const signalled = new Promise<void>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => resolve());
  });
  await Promise.race([signalled, localstack.untilEnded()]);
  clearInterval(alive);
}

const [target, ...rest] = process.argv.slice(2);
const run = { aws: () => deployToAws(rest), local: deployToLocalStack }[target ?? ''];
const work = run
  ? run()
  : Promise.reject(new PgtwinError('invalid-request', { detail: 'Say where to: deploy.ts aws | local' }));
work.catch((error: unknown) => {
  console.error(asPgtwinError(error).message);
  process.exitCode = 1;
});
