import { setTimeout as wait } from 'node:timers/promises';

/** The machine's own clock and chance, as the ports of shared/task/ports.ts want them. */
export const systemClock = {
  now: (): Date => new Date(),
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await wait(ms, undefined, signal ? { signal } : {}).catch(() => {});
  },
  random: (): number => Math.random(),
};
