import { sides } from '../../shared/task/schema.ts';
import type { BenchDatabase, BenchDatabases } from './databases.ts';
import { otherSide } from './load.ts';
import type { Replication } from './replication.ts';

/** PostgreSQL's own logical replication, `origin = none` both ways, all else at its defaults. */
export class Native implements Replication {
  readonly name = 'native';
  readonly #databases: BenchDatabases;

  constructor(databases: BenchDatabases) {
    this.#databases = databases;
  }

  async attach(): Promise<void> {
    await this.#publish();
    for (const side of sides) await this.#subscribe(side, false);
    for (const side of sides) await untilSending(this.#databases[side]);
  }

  async prepareCopy(): Promise<void> {
    await this.#publish();
  }

  async copy(): Promise<void> {
    await this.#subscribe('b', true);
    const { client } = this.#databases.b;
    await until(async () => {
      const { rows } = await client.query<{ done: boolean }>(
        /* sql */ `select bool_and(srsubstate in ('r', 's')) as done from pg_subscription_rel`,
      );
      return rows[0]!.done;
    });
  }

  async settle(): Promise<void> {}

  async #publish(): Promise<void> {
    for (const side of sides)
      await this.#databases[side].client.query(
        /* sql */ `create publication bench for tables in schema bench`,
      );
  }

  /** The subscription on `side` to the other one. */
  async #subscribe(side: 'a' | 'b', copy: boolean): Promise<void> {
    const { url } = this.#databases[otherSide(side)];
    await this.#databases[side].client.query(
      /* sql */ `create subscription bench_${side} connection '${url}' publication bench
                   with (origin = none, copy_data = ${copy})`,
    );
  }

  async detach(): Promise<void> {
    for (const side of sides) {
      const { client } = this.#databases[side];
      await client.query(/* sql */ `drop subscription if exists bench_${side}`);
    }
    for (const side of sides)
      await this.#databases[side].client.query(/* sql */ `drop publication if exists bench`);
  }

  processes(): Readonly<Record<string, number>> {
    return {};
  }
}

/** The walsender of a side has caught up. */
async function untilSending({ client }: BenchDatabase): Promise<void> {
  await until(async () => {
    const { rows } = await client.query(
      /* sql */ `select from pg_stat_replication where state = 'streaming' and application_name like 'bench\\_%'`,
    );
    return rows.length === 1;
  });
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}
