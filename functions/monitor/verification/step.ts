import { asPgtwinError, PgtwinError } from '../../../shared/errors/pgtwin-error.ts';
import type { Log } from '../../../shared/log/log.ts';
import { type SecretStore, targetOf } from '../../../shared/task/ports.ts';
import type { Repository } from '../../../shared/task/repository.ts';
import type { Verification } from '../../../shared/verify/model.ts';
import { differingRows, isUnderWork } from '../../../shared/verify/run-facts.ts';
import { noteRun } from '../../../shared/verify/start.ts';
import type { StoredRun, VerificationStore } from '../../../shared/verify/store.ts';
import { Bench, type Timing } from './bench.ts';
import { readContext } from './context.ts';
import { closeClients, openClients } from './reader.ts';
import { Repairer } from './repairer.ts';
import { ITEM_BYTES, leaseFrom, Verifier } from './verifier.ts';

export type StepDeps = {
  readonly repository: Repository;
  readonly store: VerificationStore;
  readonly secrets: Pick<SecretStore, 'get' | 'forget'>;
  readonly log: Log;
  readonly time: Timing;
};

/** Works on a run for as long as there is time. Two steps of one run at once: the second finds the lease and leaves. */
export async function workOn(deps: StepDeps, pairId: string, runId: string): Promise<void> {
  const { store, time } = deps;
  const log = deps.log.with({ pair: pairId, verification: runId });
  const stored = await store.find(pairId, runId);
  if (!stored) return forgetIfGone(deps, pairId);
  const { leaseUntil } = stored.run;
  if (!isUnderWork(stored.run)) return store.ended(pairId);
  if (Date.parse(leaseUntil) > time.now()) return;
  const { waiting: _waiting, ...rest } = stored.run;
  stored.run = { ...rest, leaseUntil: leaseFrom(time) };
  if (!(await store.save(stored))) return;
  let waiting: string | undefined;
  try {
    waiting = await work(deps, stored, log);
  } catch (thrown) {
    const error = asPgtwinError(thrown);
    log.warn('verification interrupted', { code: error.code, error });
    // The password may have been changed.
    if (error.code === 'login-failed') await forgetSecrets(deps, pairId);
    waiting = error.message;
    await goBack(store, stored);
  }
  if (Buffer.byteLength(JSON.stringify(stored.run)) > ITEM_BYTES) await goBack(store, stored);
  const ended = !isUnderWork(stored.run);
  const { waiting: _before, ...run } = stored.run;
  stored.run = {
    ...run,
    ...(waiting === undefined || ended ? {} : { waiting }),
    leaseUntil: new Date(time.now()).toISOString(),
    updatedAt: new Date(time.now()).toISOString(),
  };
  if ((await store.save(stored)) && ended) {
    await store.ended(pairId);
    await note(deps.repository, stored.run);
    log.info('verification ended', { status: stored.run.status, ...stored.run.counts });
  }
}

async function forgetSecrets({ repository, secrets }: StepDeps, pairId: string): Promise<void> {
  const pair = await repository.getPair(pairId);
  for (const { secret } of Object.values(pair.sides)) secrets.forget?.(secret);
}

/** Sets the run back to what is stored, unless somebody else has written it since: pages of keys belong to that. */
async function goBack(store: VerificationStore, stored: StoredRun): Promise<void> {
  const kept = await store.find(stored.run.pairId, stored.run.id);
  if (kept?.version === stored.version) stored.run = kept.run;
}

/** Gives what the run waits for, if it can't go on. */
async function work(deps: StepDeps, stored: StoredRun, log: Log): Promise<string | undefined> {
  const { repository, store, secrets, time } = deps;
  const context = await readContext(repository, stored.run);
  if ('waiting' in context) return context.waiting;
  if ('over' in context) {
    const error = { code: 'action-not-allowed', detail: context.over, advice: 'Start another verification.' };
    end(stored, time, 'failed', error);
    return undefined;
  }
  const { sides } = context.pair;
  const [a, b] = await Promise.all([targetOf(sides.a, secrets), targetOf(sides.b, secrets)]);
  const clients = await openClients({ a, b });
  try {
    const bench = new Bench({ clients, context, time, log });
    if (stored.run.status === 'verifying') {
      const verifier = new Verifier(bench, store, stored);
      if (!(await verifier.work())) {
        await verifier.save();
        return undefined;
      }
      const { counts, options } = stored.run;
      const differing = differingRows(counts);
      if (options.repair === undefined || differing === 0) {
        end(stored, time, 'finished');
        return undefined;
      }
      const order = { winner: options.repair };
      const askedAt = new Date(time.now()).toISOString();
      const repair = { order, by: stored.run.by, askedAt, after: null, repaired: 0, refused: 0 };
      stored.run = { ...stored.run, status: 'repairing', repair };
      // What was found is stored before anything is repaired: found anew, it would be less.
      if (!(await store.save(stored))) return undefined;
    }
    if (await new Repairer(bench, store, stored).work()) end(stored, time, 'finished');
    return undefined;
  } finally {
    await closeClients(clients);
  }
}

function end(
  stored: StoredRun,
  time: Timing,
  status: 'finished' | 'failed',
  error?: NonNullable<Verification['error']>,
): void {
  const finishedAt = new Date(time.now()).toISOString();
  stored.run = { ...stored.run, status, finishedAt, ...(error ? { error } : {}) };
}

/** The end of a run, as an event of both tasks. */
async function note(repository: Repository, run: Verification): Promise<void> {
  const { counts, repair, status } = run;
  const differing = differingRows(counts);
  const cause =
    `Verification ${run.id} ${status}: ${differing} differing rows` +
    (repair ? `; repaired ${repair.repaired}, not ${repair.refused}` : '');
  await noteRun(repository, run, cause, 'monitor').catch(() => {});
}

/** The pair went while it was verified; or the run is just being made. */
async function forgetIfGone({ repository, store }: StepDeps, pairId: string): Promise<void> {
  try {
    await repository.getPair(pairId);
  } catch (error) {
    if (error instanceof PgtwinError && error.code === 'not-found') return store.ended(pairId);
    throw error;
  }
}
