import { setTimeout as pause } from 'node:timers/promises';
import { type Random, randomOf } from '../model/random.ts';
import type { TestPlatform } from '../support/twin.ts';

export type Person = {
  /** So many conflicts were answered. */
  readonly answered: number;
  /** Goes home; throws what could not be answered. */
  stop(): Promise<void>;
};

type View = { state: string; error?: { code: string; conflict?: string; detail: string } | null };
const LOOK_MS = 50;

/** Someone who looks at the tasks and answers each conflict that has stopped one, with either version. */
export function openPerson(call: TestPlatform['call'], pair: string, seed: number): Person {
  const stopping = new AbortController();
  const random = randomOf(seed * 17 + 5);
  let answered = 0;
  const look = async (direction: string): Promise<void> => {
    const path = `/v1/pairs/${pair}/tasks/${direction}`;
    const { state, error } = await call<View>('GET', path);
    if (state !== 'Failed') return;
    if (error?.code !== 'conflict-stops-task' || error.conflict === undefined)
      throw new Error(`task ${direction} failed: ${JSON.stringify(error)}`);
    await call('POST', `${path}/conflicts/${error.conflict}/resolve`, { take: takeOf(random) });
    await call('POST', `${path}/retry`);
    answered += 1;
  };
  const work = (async () => {
    for (let refused = 0; !stopping.signal.aborted; ) {
      for (const direction of ['forward', 'reverse'])
        try {
          await look(direction);
          refused = 0;
        } catch (error) {
          // A database may be away, or the state have changed meanwhile: asked again. For a while.
          if (++refused > 200) throw error;
        }
      await pause(LOOK_MS, undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();
  work.catch(() => {});
  return {
    get answered() {
      return answered;
    },
    async stop() {
      stopping.abort();
      await work;
    },
  };
}

const takeOf = (random: Random): 'source' | 'destination' => random.pick(['source', 'destination']);
