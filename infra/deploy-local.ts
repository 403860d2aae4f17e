import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { clientEnvironment } from '../localstack/start.ts';
import { PgtwinError } from '../shared/errors/pgtwin-error.ts';
import { buildFunctions, projectFolder } from './build.ts';
import { cdk } from './cdk.ts';

export type Deployed = {
  /** The function URL as LocalStack gives it; its host name may not resolve on this machine. */
  readonly apiUrl: string;
  /** The host name in it: sent to LocalStack's endpoint in the header `Host`, it reaches the API from anywhere. */
  readonly apiHost: string;
  /** A bearer token of the role admin. */
  readonly token: string;
  /** What a capture needs that runs as a process of this machine: `node dist/capture/main.mjs`. */
  readonly captureEnvironment: Readonly<Record<string, string>>;
  /** All outputs of the stack. */
  readonly outputs: Readonly<Record<string, string>>;
};
export type DeployLocalOptions = {
  /** `http://127.0.0.1:<port>` of a running LocalStack. */
  readonly endpoint: string;
  /** Bundles that are there already; without it the functions are bundled into `dist`. */
  readonly dist?: string;
  readonly context?: Readonly<Record<string, string>>;
  readonly report?: (line: string) => void;
};

/** Puts the serverless stack on LocalStack, or brings the one that is there up to date. */
export async function deployLocal(options: DeployLocalOptions): Promise<Deployed> {
  const { endpoint, context = {}, report = () => {} } = options;
  if (!options.dist) {
    report('bundling the functions');
    await buildFunctions({ report });
  }
  const environment = clientEnvironment(endpoint);
  const folder = await mkdtemp(join(tmpdir(), 'pgtwin-deploy-'));
  try {
    const all = {
      environment,
      program: 'cdklocal' as const,
      output: join(folder, 'cdk.out'),
      context: { removal: 'destroy', dist: options.dist ?? join(projectFolder, 'dist'), ...context },
      report,
    };
    report('preparing LocalStack for the CDK');
    await cdk(['bootstrap'], all);
    report('deploying the stack "serverless"');
    const outputsFile = join(folder, 'outputs.json');
    await cdk(
      ['deploy', 'serverless', '--exclusively', '--require-approval', 'never', '--outputs-file', outputsFile],
      all,
    );
    const byStack = JSON.parse(await readFile(outputsFile, 'utf8')) as Record<string, Record<string, string>>;
    const outputs = Object.fromEntries(
      // Those named Exports… are the CDK's own, for the other stack.
      Object.entries(Object.values(byStack)[0] ?? {}).filter(([name]) => !name.startsWith('Exports')),
    );
    const apiUrl = outputs['ApiUrl'] ?? '';
    return {
      apiUrl,
      // Not by `new URL`, which refuses a host name that ends in an address.
      apiHost: apiUrl.replace(/^https?:\/\//, '').replace(/\/.*$/, ''),
      token: await readToken(environment, outputs['TokensSecretArn'] ?? ''),
      captureEnvironment: {
        ...environment,
        PGTWIN_TABLE: outputs['TableName'] ?? '',
        PGTWIN_BUCKET: outputs['BucketName'] ?? '',
        PGTWIN_PREFIX: outputs['Prefix'] ?? '',
        PGTWIN_COPY_QUEUE_URL: outputs['CopyQueueUrl'] ?? '',
        PGTWIN_APPLY_FUNCTION: outputs['ApplyFunctionName'] ?? '',
        PGTWIN_SECRETS: 'secrets-manager',
      },
      outputs,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function readToken(environment: Record<string, string>, arn: string): Promise<string> {
  const client = new SecretsManagerClient({
    endpoint: environment['AWS_ENDPOINT_URL'] ?? '',
    region: environment['AWS_REGION'] ?? '',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  const answer = await client.send(new GetSecretValueCommand({ SecretId: arn }));
  client.destroy();
  const token = /^admin:admin:([^,]+)/.exec(answer.SecretString ?? '')?.[1];
  if (!token)
    throw new PgtwinError('internal', { detail: 'The secret of tokens does not begin with admin.' });
  return token;
}
