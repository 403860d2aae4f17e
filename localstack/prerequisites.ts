import path from 'node:path';
import { PgtwinError } from '../shared/errors/pgtwin-error.ts';
import { ask } from './command.ts';

const missing = (detail: string): PgtwinError => new PgtwinError('prerequisite-missing', { detail });

/** The first Python of at least 3.11 that can make virtual environments; 3.11, for which the lock is made, first. */
export function findPython(): { readonly program: string; readonly version: string } {
  const question =
    'import sys, venv, ensurepip; assert sys.version_info >= (3, 11); print(sys.executable, *sys.version_info[:2])';
  for (const name of ['python3.11', 'python3.12', 'python3.13', 'python3', 'python']) {
    const [program, major, minor] = ask(name, ['-c', question])?.split(' ') ?? [];
    if (program && major && minor) return { program, version: `${major}.${minor}` };
  }
  throw missing(
    'LocalStack without Docker needs Python 3.11 or newer with the modules venv and ensurepip ' +
      '(Debian: apt-get install python3-venv); or start a Docker engine.',
  );
}

/** A Java of at least 17, from JAVA_HOME or else from PATH. */
export function findJava(): string {
  const home = process.env['JAVA_HOME'];
  for (const program of [...(home ? [path.join(home, 'bin', 'java')] : []), 'java']) {
    const version = /version "(\d+)/.exec(ask(program, ['-version']) ?? '')?.[1];
    if (Number(version) >= 17) return program;
  }
  throw missing(
    'DynamoDB Local needs Java 17 or newer (Debian: apt-get install openjdk-17-jre-headless); or start a Docker engine.',
  );
}

/** Maven, which fetches DynamoDB Local; needed at the first start only. */
export function findMaven(): string {
  if (ask('mvn', ['-version']) !== null) return 'mvn';
  throw missing(
    'Fetching DynamoDB Local needs Maven as "mvn" (Debian: apt-get install maven); or start a Docker engine.',
  );
}
