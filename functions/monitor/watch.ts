import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Repository } from '../../shared/task/repository.ts';
import type { Pair } from '../../shared/task/schema.ts';
import type { Watched } from './duty.ts';

/** All tasks with their pairs and configurations. One that is being removed right now is left out. */
export async function readWatched(repository: Repository): Promise<Watched[]> {
  const pairs = new Map<string, Pair>();
  let after: string | undefined;
  do {
    const page = await repository.listPairs(100, after);
    for (const pair of page.pairs) pairs.set(pair.id, pair);
    after = page.next;
  } while (after);

  const watched: Watched[] = [];
  for (const task of await repository.listTasks()) {
    const pair = pairs.get(task.pairId);
    if (!pair) continue;
    const config = task.configVersion > 0 ? await repository.getConfig(task).catch(unlessGone) : undefined;
    watched.push({ task, pair, config });
  }
  return watched;
}

function unlessGone(error: unknown): undefined {
  if (error instanceof PgtwinError && error.code === 'not-found') return undefined;
  throw error;
}
