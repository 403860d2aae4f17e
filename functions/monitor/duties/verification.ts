import { VerificationStore } from '../../../shared/verify/store.ts';
import type { Duty } from '../duty.ts';
import { workOn } from '../verification/step.ts';

const WORK_MS = 5_000;

/** The next step of each verification that is under work; they share the time that is left. */
export const verification: Duty = {
  name: 'verification',
  unwatched: true,
  async run({ repository, senders: { secrets }, log, workUntil = Date.now() + WORK_MS }) {
    const store = new VerificationStore(repository.table);
    const runs = await store.active();
    for (const [n, { pairId, run }] of runs.entries()) {
      const now = Date.now();
      const deadline = now + (workUntil - now) / (runs.length - n);
      const time = { now: Date.now, sleep, deadline };
      await workOn({ repository, store, secrets, log, time }, pairId, run);
    }
  },
};

const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
