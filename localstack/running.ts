import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { cacheFolder } from './cache.ts';

/** What is written down about a running LocalStack, so that it can be stopped by another process. */
export type Running =
  | {
      readonly kind: 'host';
      readonly endpoint: string;
      readonly pid: number;
      /** The command line as the system shows it: a process with another one is not ours. */
      readonly command: string;
      readonly workFolder: string;
    }
  | { readonly kind: 'docker'; readonly endpoint: string; readonly container: string };

const folder = (): string => path.join(cacheFolder(), 'running');
const fileOf = (running: Running): string =>
  path.join(folder(), `${running.kind}-${new URL(running.endpoint).port}.json`);

export function note(running: Running): void {
  mkdirSync(folder(), { recursive: true });
  writeFileSync(fileOf(running), JSON.stringify(running));
}

export const forget = (running: Running): void => rmSync(fileOf(running), { force: true });

/** Every instance that was noted and not yet forgotten; it may have died since. */
export function noted(): Running[] {
  mkdirSync(folder(), { recursive: true });
  return readdirSync(folder())
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(path.join(folder(), name), 'utf8')) as Running);
}
