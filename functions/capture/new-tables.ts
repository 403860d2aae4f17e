import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { readReplicaKeys } from '../../shared/postgres/catalog.ts';
import type { Queryable } from '../../shared/postgres/connect.ts';
import type { Clock } from '../../shared/task/ports.ts';
import { type Prepared, readPrepared } from '../../shared/task/prepared.ts';
import type { PreparedTable, TableName, Task, TaskConfig } from '../../shared/task/schema.ts';
import { keyOfTable } from '../../shared/task/selection.ts';
import type { Table } from '../../shared/task/table.ts';
import { resolveTables } from './resolve.ts';

/** How often the catalogue is looked at: what is written meanwhile is not lost, the copy has it. */
const LOOK_MS = 5_000;

/** Looks for tables that came into a selection with patterns while the task runs. */
export class NewTables {
  readonly #task: Task;
  readonly #config: TaskConfig;
  readonly #table: Table;
  readonly #clock: Clock;
  readonly #byPattern: boolean;
  #known: ReadonlySet<string> | undefined;
  #lookedAt: number;

  constructor(of: { task: Task; config: TaskConfig; table: Table; clock: Clock }) {
    this.#task = of.task;
    this.#config = of.config;
    this.#table = of.table;
    this.#clock = of.clock;
    this.#lookedAt = of.clock.now().getTime();
    this.#byPattern = of.config.objects.include.some((each) => `${each.schema}${each.table}`.includes('*'));
  }

  /** Those that are there now and can be carried, and those that lack a key; undefined where it is too early to look. */
  async look(source: Queryable): Promise<{ ready: TableName[]; without: TableName[] } | undefined> {
    const now = this.#clock.now().getTime();
    if (!this.#byPattern || now - this.#lookedAt < LOOK_MS) return undefined;
    this.#lookedAt = now;
    this.#known ??= await this.#prepared();
    const selected = await resolveTables(source, this.#config).catch((error: unknown) => {
      // A table that is selected by its own name was dropped: the stream goes on without it.
      if (error instanceof PgtwinError && error.code === 'relation-unknown') return [];
      throw error;
    });
    const fresh = selected.filter((each) => !this.#known!.has(keyOfTable(each)));
    if (fresh.length === 0) return { ready: [], without: [] };
    const keys = await readReplicaKeys(source as never, fresh);
    const withKey = new Set(keys.filter((each) => each.identityColumns).map(keyOfTable));
    return {
      ready: fresh.filter((each) => withKey.has(keyOfTable(each))),
      without: fresh.filter((each) => !withKey.has(keyOfTable(each))),
    };
  }

  async #prepared(): Promise<Set<string>> {
    const prepared = await readPrepared(this.#table, this.#task.id);
    return new Set(prepared?.list.map(keyOfTable));
  }
}

/** The tables with a mark on those that were not there when this run of the task was first prepared. */
export function withAdded(tables: readonly PreparedTable[], before: Prepared | undefined): PreparedTable[] {
  if (!before) return [...tables];
  const known = new Map(before.list.map((each) => [keyOfTable(each), each.added]));
  return tables.map((table) => {
    const at = keyOfTable(table);
    return known.has(at) && !known.get(at) ? table : { ...table, added: true };
  });
}
