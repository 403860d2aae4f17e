import { stopInDocker } from './docker.ts';
import { stopOnHost } from './host.ts';
import { noted } from './running.ts';

type StopOptions = { readonly report: (line: string) => void; readonly port?: number };

/** Stops every LocalStack that pgtwin started on this machine and that is noted as running, or only that of a port. */
export async function stopLocalStacks({ report, port }: StopOptions): Promise<void> {
  const all = noted().filter(({ endpoint }) => !port || Number(new URL(endpoint).port) === port);
  if (all.length === 0) report('no LocalStack of pgtwin is running');
  for (const running of all) {
    report(`stopping LocalStack at ${running.endpoint}`);
    await (running.kind === 'docker' ? stopInDocker(running) : stopOnHost(running));
  }
}

if (import.meta.main) {
  const port = Number(process.argv[2] ?? 0); // node localstack/stop.ts [PORT]
  await stopLocalStacks({ report: (line) => console.log(line), port });
}
