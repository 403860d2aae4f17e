import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPlatform, openTwin, type TestPlatform, type Twin } from '../support/twin.ts';
import { until } from '../support/wait.ts';
import { expectEqual, startWrites, writesSchema } from '../support/writes.ts';

let on: TestPlatform;
let twin: Twin;
beforeAll(async () => {
  on = await openPlatform();
  twin = await openTwin(on, { schema: writesSchema });
});
afterAll(async () => {
  await twin?.[Symbol.asyncDispose]();
  await on?.[Symbol.asyncDispose]();
});

/** Replaces how messages reach the apply function, for as long as the test runs. */
function tap(deliver: (event: SQSEvent, apply: Apply) => Promise<SQSBatchResponse>): Disposable {
  const { apply } = on.platform;
  const { invoke } = apply;
  apply.invoke = (event) => deliver(event as SQSEvent, (e) => invoke(e)) as Promise<never>;
  return {
    [Symbol.dispose]() {
      apply.invoke = invoke;
    },
  };
}
type Apply = (event: SQSEvent) => Promise<SQSBatchResponse>;

test('the capture is killed under writes, again and again', async () => {
  await using writes = startWrites(twin);
  for (let n = 0; n < 3; n++) {
    await writes.more(60);
    await on.platform.killCapture();
    await writes.more(20);
    on.platform.startCapture();
  }
  await writes.more(20);
  await writes.stop();
  await expectEqual(twin, writes);
});

test('apply is killed in mid-batch, at random moments', async () => {
  await using writes = startWrites(twin);
  for (let n = 0; n < 8; n++) {
    await writes.more(3 + Math.floor(Math.random() * 40));
    await on.platform.apply.kill();
  }
  await writes.stop();
  await expectEqual(twin, writes);
  for (const direction of ['forward', 'reverse'] as const) await twin.reach(direction, 'Running');
});

test('two invocations get the same messages at the same time', async () => {
  let calls = 0;
  using _ = tap(async (event, apply) => {
    calls += 1;
    const [one, other] = await Promise.all([apply(event), apply(structuredClone(event))]);
    expect(one).toEqual(other);
    return one;
  });
  await using writes = startWrites(twin);
  await writes.more(200);
  await writes.stop();
  await expectEqual(twin, writes);
  expect(calls).toBeGreaterThan(4);
});

test('every message is delivered twice, the second time behind later ones', async () => {
  let former: SQSEvent | undefined;
  using _ = tap(async (event, apply) => {
    const answer = await apply(event);
    if (former) await apply(former);
    former = event;
    await apply(event);
    return answer;
  });
  await using writes = startWrites(twin);
  await writes.more(200);
  await writes.stop();
  await expectEqual(twin, writes);
});

test('an invocation is carried out, and its answer lost', async () => {
  let lost = 0;
  using _ = tap(async (event, apply) => {
    const answer = await apply(event);
    if (++lost % 3 === 0) throw new Error('the answer is lost');
    return answer;
  });
  await using writes = startWrites(twin);
  await writes.more(150);
  await writes.stop();
  await expectEqual(twin, writes);
  expect(lost).toBeGreaterThan(3);
});

test('every fifth message is lost: they are sent again', async () => {
  let calls = 0;
  await using writes = startWrites(twin);
  {
    using _ = tap(async (event, apply) =>
      ++calls % 5 === 0 ? { batchItemFailures: [] } : await apply(event),
    );
    await writes.more(300);
    await writes.stop();
    await until('some messages to be lost', async () => calls > 15);
  }
  await expectEqual(twin, writes);
});

test('more messages in a row are lost than the capture lets lie unapplied', async () => {
  let lost = 0;
  await using writes = startWrites(twin);
  {
    using _ = tap(async () => {
      lost += 1;
      return { batchItemFailures: [] };
    });
    await until('messages to be lost', async () => lost >= 25);
  }
  await writes.more(20);
  await writes.stop();
  await expectEqual(twin, writes);
});

test('the last message is lost and nothing follows: a heartbeat brings it to light', async () => {
  let lost = 0;
  {
    using _ = tap(async () => {
      lost += 1;
      return { batchItemFailures: [] };
    });
    await twin.a.query(`insert into ledger values (0, 'x')`);
    const before = lost;
    // In order: one of these had the row.
    await until('messages to be lost', async () => lost >= before + 3);
  }
  await until('the row', async () => (await twin.b.rows('select from ledger where id = 0')).length === 1);
  await twin.a.query('delete from ledger where id = 0');
  await twin.settle();
  expect(await twin.differences()).toEqual([]);
});

test('a message that can not be read is dropped, and sent again', async () => {
  let broken = 0;
  await using writes = startWrites(twin);
  {
    using _ = tap(async (event, apply) => {
      const [first, ...rest] = event.Records;
      if (broken >= 3 || !first) return apply(event);
      broken += 1;
      return apply({ Records: [{ ...first, body: first.body.slice(0, 100) }, ...rest] });
    });
    await until('some broken messages', async () => broken >= 3);
    await writes.more(20);
  }
  await writes.stop();
  await expectEqual(twin, writes);
});

test('the capture and the functions are killed while a task is initialized', async () => {
  let ready = false;
  const opening = openTwin(on, {
    schema: `${writesSchema};
      insert into ledger select g, 'x', repeat('x', 300) from generate_series(1000001, 1200000) g;
      create index ledger_side on ledger (side, id)`,
    forward: { chunkRows: 10_000 },
  }).finally(() => {
    ready = true;
  });
  const seen = (text: string) => on.lines.filter((line) => line.includes(text)).length;
  for (const text of ['copy starts', 'copy starts', 'ready to stream', 'stream started']) {
    const before = seen(text);
    await until(text, async () => ready || seen(text) > before, { timeoutMs: 60_000 });
    if (text === 'copy starts') await on.platform.copy.kill();
    await on.platform.killCapture();
    on.platform.startCapture();
  }
  await using other = await opening;
  await using writes = startWrites(other);
  await writes.more(30);
  await writes.stop();
  await expectEqual(other, writes);
  expect(await other.b.rows(`select indexname from pg_indexes where indexname = 'ledger_side'`)).toHaveLength(
    1,
  );
});
