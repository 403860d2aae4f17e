import { expect, test } from 'vitest';
import { openDatabase } from '../../../test/support/database.ts';
import { openCheckedDatabase } from './database.ts';

test('a session that the server ends in the middle of a statement is an error of the check, not of the process', async () => {
  await using a = await openDatabase('a');
  const { host, port } = a.server;
  const { database, close } = openCheckedDatabase({
    ...{ role: 'source', side: 'a', server: {} as never, connectTimeoutMs: 1_000 },
    target: { host, port, user: a.user, password: a.password, database: a.name, tls: 'disable' },
  });
  try {
    const ended = expect(
      database.session(async (client) => {
        const { rows } = await client.query('select pg_backend_pid() as pid');
        const sleeping = client.query('select pg_sleep(30)');
        // Its failure is looked at below.
        sleeping.catch(() => {});
        await a.superuserRows(`select pg_terminate_backend(${rows[0].pid}, 5000)`);
        await sleeping;
      }),
    ).rejects.toMatchObject({ code: 'database-unreachable' });
    await ended;
    // The next check gets another connection.
    expect(await database.rows('select 1 as one')).toEqual([{ one: 1 }]);
  } finally {
    await close();
  }
});
