import { setTimeout as sleep } from 'node:timers/promises';
import type { SQSEvent } from 'aws-lambda';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPlatform, openTwin, type TestPlatform } from '../support/twin.ts';
import { until } from '../support/wait.ts';
import { expectEqual, startWrites, writesSchema } from '../support/writes.ts';

let on: TestPlatform;
beforeAll(async () => {
  on = await openPlatform();
});
afterAll(async () => {
  await on?.[Symbol.asyncDispose]();
});

/** Idle sides send a heartbeat every ten seconds. */
const IDLE_MS = 10_000;

// With origins the server drops applied rows itself; a plain account may not use them, and the capture drops them.
test.each(['superuser', 'plain'] as const)(
  'after the last write both streams fall silent: %s',
  async (account) => {
    await using twin = await openTwin(on, { schema: writesSchema, account });
    const origins = `select count(*)::int as n from pg_replication_origin where roname like '%${twin.pair}%'`;
    expect(await twin.b.superuserRows(origins)).toEqual([{ n: account === 'superuser' ? 1 : 0 }]);

    let idling = false;
    const sent: { at: number; group: string; changes: number }[] = [];
    const { apply } = on.platform;
    const { invoke } = apply;
    apply.invoke = (async (event: SQSEvent) => {
      for (const { body, attributes } of event.Records) {
        const { changes } = JSON.parse(body.slice(0, body.indexOf('\n'))) as { changes: number };
        sent.push({ at: performance.now(), group: attributes.MessageGroupId ?? '', changes });
      }
      // Idle, apply is slow: a heartbeat that waits for it is no reason for another one.
      if (idling) await sleep(3_000);
      return await invoke(event);
    }) as typeof invoke;
    try {
      await using writes = startWrites(twin);
      await writes.more(100);
      await writes.stop();
      await expectEqual(twin, writes);
      const rows = (group: string) =>
        sent.filter((m) => m.group.startsWith(group)).reduce((sum, m) => sum + m.changes, 0);
      const carried = [rows(`${twin.pair}_f`), rows(`${twin.pair}_r`)];
      // Nothing that was applied came back: a side sends its own rows, and heartbeats.
      for (const [n, side] of (['a', 'b'] as const).entries())
        expect(carried[n]! - 3 * writes.committed[side]).toBeLessThan(150);

      // The heartbeats of the marker and the quick ones behind it die down.
      const quietSince = () => performance.now() - (sent.at(-1)?.at ?? 0);
      await until('two seconds of silence', async () => quietSince() > 2_000, { timeoutMs: 20_000 });
      const from = performance.now();
      const before = sent.length;
      idling = true;
      await until('more than one idle heartbeat', async () => performance.now() - from > IDLE_MS + 2_500, {
        timeoutMs: 30_000,
      });
      const idle = sent.slice(before);
      expect(idle.length).toBeGreaterThanOrEqual(1);
      expect(idle.every(({ changes }) => changes === 1)).toBe(true);
      // Each side one heartbeat, perhaps two; a message that caused another one would never end.
      for (const group of new Set(idle.map((m) => m.group)))
        expect(idle.filter((m) => m.group === group).length).toBeLessThanOrEqual(2);
    } finally {
      apply.invoke = invoke;
    }
  },
);
