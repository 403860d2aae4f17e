import type { Side } from '../../shared/task/schema.ts';
import type { BenchDatabases } from './databases.ts';

/** One of the two that are compared: changes of schema `bench` go both ways while it is attached. */
export interface Replication {
  readonly name: 'native' | 'pgtwin';
  /** Starts it between two databases with the same rows; resolves when changes go both ways. */
  attach(): Promise<void>;
  /** What has to be said before a copy from side a to side b can be started. */
  prepareCopy(): Promise<void>;
  /** Starts it; resolves when all rows are there and changes of side a go to side b. */
  copy(): Promise<void>;
  /** After a copy: until all of it is as it stays. */
  settle(): Promise<void>;
  /** Takes it away without a trace. */
  detach(): Promise<void>;
  /** Process numbers of its own parts outside of the servers, by name. */
  processes(): Readonly<Record<string, number>>;
}

const sendersSql = /* sql */ `
select active_pid as pid from pg_replication_slots where active_pid is not null and database = current_database()`;

/** What holds back the changes of a side, the same for both: its walsenders are stopped. Call the result to let go. */
export async function holdSenders(databases: BenchDatabases, side: Side): Promise<() => void> {
  const { rows } = await databases[side].client.query<{ pid: number }>(sendersSql);
  if (rows.length !== 1) throw new Error(`Side ${side} has ${rows.length} walsenders.`);
  for (const { pid } of rows) process.kill(pid, 'SIGSTOP');
  return () => {
    for (const { pid } of rows) process.kill(pid, 'SIGCONT');
  };
}
