import { copyFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { installed } from './cache.ts';
import { run } from './command.ts';
import { findJava, findMaven, findPython } from './prerequisites.ts';

/** The folder of the plugins, the lock file and the list of jars. */
export const hostFolder = path.join(import.meta.dirname, 'host');

/** Dependencies, and what builds them, as they were on this day: newer ones break LocalStack 4.9.2. */
const frozenAt = '2025-10-20';
const uvVersion = '0.13.9';

export type HostInstall = {
  /** Python of the virtual environment that holds LocalStack. */
  readonly python: string;
  readonly java: string;
  /** Folder of DynamoDB Local's jars and native libraries. */
  readonly jars: string;
};

/** Makes sure that LocalStack and DynamoDB Local are in the cache: some 30 s at the first start, then nothing. */
export async function installHost(report: (line: string) => void): Promise<HostInstall> {
  const java = findJava();
  const python = findPython();
  const [environment, jars] = await Promise.all([installLocalStack(python, report), installDynamoDb(report)]);
  return { python: path.join(environment, 'bin', 'python'), java, jars };
}

function installLocalStack(python: { program: string; version: string }, report: (line: string) => void) {
  const lock = path.join(hostFolder, 'requirements.lock');
  return installed({
    name: 'python',
    inputs: [readFileSync(lock, 'utf8'), frozenAt, uvVersion, python.program, python.version],
    fill: async (folder) => {
      report(`installing LocalStack for Python ${python.version} (114 locked packages, once)`);
      await run(python.program, ['-m', 'venv', folder]);
      const inside = path.join(folder, 'bin', 'python');
      await run(inside, ['-m', 'pip', 'install', '--quiet', `uv==${uvVersion}`]);
      // Hard links from uv's own cache would save nothing here: it may lie on another file system.
      const frozen = ['--exclude-newer', frozenAt, '--link-mode', 'copy', '--requirement', lock];
      await run(inside, ['-m', 'uv', 'pip', 'install', '--quiet', '--python', inside, ...frozen]);
    },
  });
}

function installDynamoDb(report: (line: string) => void) {
  const pom = path.join(hostFolder, 'pom.xml');
  return installed({
    name: 'dynamodb',
    inputs: [readFileSync(pom, 'utf8')],
    fill: async (folder) => {
      const maven = findMaven();
      report('fetching DynamoDB Local with Maven (46 MB, once)');
      copyFileSync(pom, path.join(folder, 'pom.xml'));
      const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${folder}`];
      await run(maven, ['--batch-mode', '--quiet', '--file', path.join(folder, 'pom.xml'), ...goal]);
    },
  });
}
