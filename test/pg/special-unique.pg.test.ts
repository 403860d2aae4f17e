import { afterAll, beforeAll, expect, test } from 'vitest';
import { crossed } from '../support/crossed.ts';
import { openPlatform, openTwin, type TestPlatform } from '../support/twin.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});

const schema = /* sql */ `
  create table account (id int primary key, mail text, live bool not null default true, "order" int, t text);
  create unique index on account (lower(mail)) where live;
  create unique index on account (("order" / 10), t) nulls not distinct;
  insert into account select g, 'm' || g, true, g * 10, 't' from generate_series(1, 9) g;`;

test.each(['overwrite', 'ignore', 'last-write-wins'])(
  'partial unique indexes and those over expressions: identical under %s',
  async (conflictPolicy) => {
    await using twin = await openTwin(on, {
      schema,
      forward: { conflictPolicy },
      reverse: { conflictPolicy },
    });
    await crossed(
      twin,
      `update account set mail = 'New' where id = 1`,
      `update account set mail = 'neW' where id = 2`,
    );
    await crossed(
      twin,
      `insert into account values (20, 'Same', true, 200, 'a')`,
      `insert into account values (21, 'sAME', true, 210, 'b')`,
    );
    await crossed(
      twin,
      `update account set "order" = 301, t = null where id = 3`,
      `update account set "order" = 302, t = null where id = 4`,
    );
    expect(await twin.differences()).toEqual([]);
    const kinds = (await twin.conflicts()).map((c) => c['kind']);
    expect(kinds).toEqual(expect.arrayContaining(['update_exists', 'insert_exists']));
    const before = kinds.length;
    // Outside the condition nothing collides.
    await crossed(
      twin,
      `update account set live = false, mail = 'gone' where id = 5`,
      `insert into account values (22, 'GONE', true, 220, 'c')`,
    );
    expect(await twin.differences()).toEqual([]);
    expect(await twin.conflicts()).toHaveLength(before);
    for (const direction of ['forward', 'reverse'] as const)
      expect((await twin.task(direction)).state).toBe('Running');
  },
);
