import type { TestProject } from 'vitest/node';
import type { LocalStack } from '../../localstack/settings.ts';
import { startLocalStack } from '../../localstack/start.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The LocalStack of this test run: `inject('localstack')`. */
    localstack: Pick<LocalStack, 'endpoint' | 'hostSeenByFunctions'>;
  }
}

/** Starts one LocalStack for all test files and stops it after the last; PGTWIN_LOCALSTACK_ENDPOINT names a given one. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const given = process.env['PGTWIN_LOCALSTACK_ENDPOINT'];
  if (given) {
    const hostSeenByFunctions = process.env['PGTWIN_HOST_SEEN_BY_FUNCTIONS'] ?? '127.0.0.1';
    project.provide('localstack', { endpoint: given, hostSeenByFunctions });
    return undefined;
  }
  const { endpoint, hostSeenByFunctions, stop } = await startLocalStack({
    report: (line) => console.log(line),
  });
  project.provide('localstack', { endpoint, hostSeenByFunctions });
  return stop;
}
