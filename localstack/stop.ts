import { stopInDocker } from './docker.ts';
import { stopOnHost } from './host.ts';
import { noted } from './running.ts';

/** Stops every LocalStack that pgtwin started on this machine and that is still noted as running. */
export async function stopLocalStacks(report: (line: string) => void): Promise<void> {
  const all = noted();
  if (all.length === 0) report('no LocalStack of pgtwin is running');
  for (const running of all) {
    report(`stopping LocalStack at ${running.endpoint}`);
    await (running.kind === 'docker' ? stopInDocker(running) : stopOnHost(running));
  }
}

if (import.meta.main) await stopLocalStacks((line) => console.log(line));
