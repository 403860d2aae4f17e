import { writeFileSync } from 'node:fs';
import { ask, run } from './command.ts';
import { untilReady } from './ready.ts';
import { forget, note, type Running } from './running.ts';
import { commonEnvironment, type LocalStack, localStackVersion, type StartOptions } from './settings.ts';

const image = `localstack/localstack:${localStackVersion}`;
const label = 'pgtwin=localstack';

/** Whether a Docker engine answers; the client alone is not enough. */
export const dockerAnswers = (): boolean =>
  Boolean(ask('docker', ['info', '--format', '{{.ServerVersion}}']));

/** Starts LocalStack as a container that starts its functions as containers beside itself. */
export async function startInDocker(
  options: StartOptions & { port: number; logFile: string },
): Promise<LocalStack> {
  const { port, logFile, report = () => {} } = options;
  const endpoint = `http://127.0.0.1:${port}`;
  if (ask('docker', ['image', 'inspect', '--format', '{{.Id}}', image]) === null) {
    report(`pulling ${image} (some 400 MB, once)`);
    await run('docker', ['pull', '--quiet', image]);
  }
  report(
    `starting LocalStack in Docker, log by "docker logs ${nameOf(port)}", kept in ${logFile} at the end`,
  );
  const container = (await run('docker', runArguments(port, options.environment))).trim();
  const running: Running = { kind: 'docker', endpoint, container };
  note(running);
  const stop = () => stopInDocker(running, logFile);
  const failure = async () =>
    ask('docker', ['inspect', '--format', '{{.State.Running}}', container]) === 'true'
      ? null
      : `its container ended: ${(await logsOf(container)).slice(-1000)}`;
  try {
    await untilReady({ endpoint, failure, timeoutMs: 180_000 });
  } catch (error) {
    await stop();
    throw error;
  }
  const untilEnded = async () => {
    await run('docker', ['wait', container]).catch(() => 'removed already');
  };
  return {
    kind: 'docker',
    endpoint,
    port,
    logFile,
    hostSeenByFunctions: 'host.docker.internal',
    untilEnded,
    stop,
  };
}

/** Stops and removes the container (LocalStack removes its functions' containers); keeps its log if a file is given. */
export async function stopInDocker(running: Running & { kind: 'docker' }, logFile?: string): Promise<void> {
  // Asked with our label: a container that is not ours is never touched.
  const ours = ask('docker', ['ps', '-aq', '--no-trunc', '--filter', `label=${label}`]) ?? '';
  if (ours.split('\n').includes(running.container)) {
    await run('docker', ['stop', '--time', '15', running.container]);
    if (logFile) writeFileSync(logFile, await logsOf(running.container));
    await run('docker', ['rm', '--force', '--volumes', running.container]);
  }
  forget(running);
}

/** The arguments of `docker`: the port is the same inside and outside, so addresses that LocalStack gives hold in both. */
export function runArguments(port: number, more: Readonly<Record<string, string>> = {}): string[] {
  const environment = {
    ...commonEnvironment(`0.0.0.0:${port}`),
    // A function reaches databases of this machine under the same name on Linux, macOS and Windows.
    LAMBDA_DOCKER_FLAGS: '--add-host=host.docker.internal:host-gateway',
    ...more,
  };
  return [
    ...['run', '--detach', '--name', nameOf(port), '--label', label],
    ...['--publish', `127.0.0.1:${port}:${port}`, '--add-host', 'host.docker.internal:host-gateway'],
    ...['--volume', `${socketOnEngine()}:/var/run/docker.sock`],
    ...Object.entries(environment).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    image,
  ];
}

const nameOf = (port: number): string => `pgtwin-localstack-${port}`;
const logsOf = (container: string): Promise<string> => run('docker', ['logs', container]).catch(() => '');

/** The engine's socket, as seen where the engine runs: a rootless one on Linux has it elsewhere. */
function socketOnEngine(): string {
  const host = process.env['DOCKER_HOST'] ?? '';
  return process.platform === 'linux' && host.startsWith('unix://') ? host.slice(7) : '/var/run/docker.sock';
}
