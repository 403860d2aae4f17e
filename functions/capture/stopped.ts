import { asPgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { errors } from '../../shared/errors/table.ts';
import type { Log } from '../../shared/log/log.ts';
import { withClient } from '../../shared/postgres/connect.ts';
import { slotName } from '../../shared/postgres/names.ts';
import { type Clock, type SecretStore, targetOf } from '../../shared/task/ports.ts';
import type { Repository } from '../../shared/task/repository.ts';
import { sourceOf, type Task } from '../../shared/task/schema.ts';
import type { LeaseTaker } from './lease.ts';
import { dropSlot } from './slot.ts';

const HOUR_MS = 3_600_000;
const EVERY_MS = 30_000;

const retainedSql = /* sql */ `
  select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn)::text as retained
    from pg_catalog.pg_replication_slots where slot_name = $1`;

export type StoppedDeps = {
  readonly repository: Repository;
  readonly secrets: SecretStore;
  readonly clock: Clock;
  readonly log: Log;
};

/**
 * Looks after tasks that nobody reads but whose slots keep WAL, Paused and Failed ones: says how much that is, and
 * drops the slot of a task that has been Failed for longer than `failedSlotHours`, before the source's disk is full.
 */
export class StoppedTasks {
  readonly #deps: StoppedDeps;
  readonly #leases: LeaseTaker;
  readonly #lookedAt = new Map<string, number>();
  readonly #looking = new Set<Promise<void>>();

  constructor(deps: StoppedDeps, leases: LeaseTaker) {
    this.#deps = deps;
    this.#leases = leases;
  }

  /** The looks that are under way have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#looking);
  }

  /** Now and then, for a task in any state. Never throws; the next look is soon. */
  async look(task: Task): Promise<void> {
    const looking = this.#look(task).catch((error: unknown) => {
      this.#deps.log.warn('slot can not be looked at', { task: task.id, error: asPgtwinError(error) });
    });
    this.#looking.add(looking);
    await looking;
    this.#looking.delete(looking);
  }

  async #look(task: Task): Promise<void> {
    if (task.generation === 0 || (task.state !== 'Paused' && task.state !== 'Failed')) return;
    const now = this.#deps.clock.now().getTime();
    if (now - (this.#lookedAt.get(task.id) ?? Number.NEGATIVE_INFINITY) < EVERY_MS) return;
    this.#lookedAt.set(task.id, now);
    // Of several captures one; and nobody begins to read the slot meanwhile.
    const lease = await this.#leases.take(task.id);
    if (!lease) return;
    try {
      await this.#lookAt(await this.#deps.repository.getTask(task.id));
    } finally {
      await lease.release();
    }
  }

  async #lookAt(task: Task): Promise<void> {
    const { repository, secrets, clock, log } = this.#deps;
    if (task.state !== 'Paused' && task.state !== 'Failed') return;
    const [pair, config] = await Promise.all([repository.getPair(task.pairId), repository.getConfig(task)]);
    const target = await targetOf(pair.sides[sourceOf(task.direction)], secrets);
    const slot = slotName(task.id);
    const over = isOver(task, config.failedSlotHours, clock.now());
    const settings = { statement_timeout: '30000' };
    const retained = await withClient(target, { application: `pgtwin ${task.id}`, settings }, async (sql) => {
      if (over) await dropSlot(sql, slot);
      const { rows } = await sql.query<{ retained: string | null }>(retainedSql, [slot]);
      return rows[0]?.retained ?? null;
    });
    const status = await repository.getStatus(task.id);
    const walRetainedBytes = retained === null ? null : Number(retained);
    if (status) await repository.putStatus(task.id, { ...status, walRetainedBytes });
    if (!over || retained !== null) return;
    const detail = `The slot was dropped to save the source's disk: the task had been Failed for ${config.failedSlotHours} hours.`;
    const dropped = await repository.tryMove(task.id, 'slot-dropped', {
      ...{ cause: detail, actor: 'capture', from: 'Failed' },
      error: {
        ...{ code: 'slot-lost', detail, advice: errors['slot-lost'].advice },
        at: clock.now().toISOString(),
      },
    });
    if (dropped) log.warn('slot dropped at its deadline', { task: task.id, hours: config.failedSlotHours });
  }
}

/** Once only: afterwards the task's error says that the slot is gone. */
function isOver(task: Task, hours: number, now: Date): boolean {
  if (task.state !== 'Failed' || !task.failedSince || task.error?.code === 'slot-lost') return false;
  return now.getTime() - Date.parse(task.failedSince) >= hours * HOUR_MS;
}
