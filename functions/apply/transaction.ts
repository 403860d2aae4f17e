import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { Session } from './session.ts';

/** One destination transaction. What it has sent is answered before it is taken as committed. */
export async function inTransaction<T>(session: Session, work: () => Promise<T>): Promise<T> {
  const { client, sent } = session;
  sent.add(client.query('begin'));
  try {
    const result = await work();
    const commit = sent.add(client.query('commit'));
    await sent.all();
    // A transaction in which something has failed is rolled back by COMMIT, without an error.
    if ((await commit).command !== 'COMMIT')
      throw new PgtwinError('internal', { detail: 'A transaction was rolled back by its commit.' });
    return result;
  } catch (thrown) {
    const error = await sent.causeOf(thrown);
    await client.query('rollback').catch(() => {});
    // ROLLBACK does not take the origin back, and with it no further transaction could set it up.
    if (session.origin)
      await client.query(/* sql */ `select pg_replication_origin_session_reset()`).catch(() => {});
    throw error;
  }
}
