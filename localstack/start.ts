import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { asPgtwinError } from '../shared/errors/pgtwin-error.ts';
import { cacheFolder } from './cache.ts';
import { dockerAnswers, startInDocker } from './docker.ts';
import { startOnHost } from './host.ts';
import type { LocalStack, StartOptions } from './settings.ts';

/** Starts LocalStack and waits until it answers: some 30 s the first time (it installs itself), then about 3 s. */
export async function startLocalStack(options: StartOptions = {}): Promise<LocalStack> {
  const port = options.port ?? (await freePort());
  const kind = options.kind ?? (dockerAnswers() ? 'docker' : 'host');
  const start = kind === 'docker' ? startInDocker : startOnHost;
  return start({ ...options, port, logFile: newLogFile(port) });
}

/** The environment with which the AWS SDK, the AWS CLI and cdklocal reach this LocalStack. */
export const clientEnvironment = (endpoint: string): Record<string, string> => ({
  AWS_ENDPOINT_URL: endpoint,
  AWS_ENDPOINT_URL_S3: endpoint,
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_REGION: 'us-east-1',
  AWS_DEFAULT_REGION: 'us-east-1',
});

const freePort = (wanted = 0): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject);
    server.listen(wanted, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });

/** Logs outlive their LocalStack by a day. */
function newLogFile(port: number): string {
  const folder = path.join(cacheFolder(), 'log');
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    const file = path.join(folder, name);
    if (Date.now() - statSync(file).mtimeMs > 24 * 3600_000) rmSync(file, { force: true });
  }
  return path.join(folder, `${port}.log`);
}

async function main(): Promise<void> {
  const report = (line: string) => console.log(line);
  const stopSignal = new Promise<void>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => resolve());
  });
  // LocalStack's usual port, if nobody has it.
  const port = await freePort(4566).catch(() => freePort());
  const localstack = await startLocalStack({ report, port });
  report(`LocalStack is ready at ${localstack.endpoint}`);
  for (const [name, value] of Object.entries(clientEnvironment(localstack.endpoint))) {
    report(`export ${name}=${value}`);
  }
  const alive = setInterval(() => {}, 60_000); // nothing else keeps this process
  await Promise.race([stopSignal, localstack.untilEnded()]);
  clearInterval(alive);
  report('stopping LocalStack');
  await localstack.stop();
}

if (import.meta.main) {
  main().catch((error: unknown) => {
    console.error(asPgtwinError(error).message);
    process.exitCode = 1;
  });
}
