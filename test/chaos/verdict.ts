import { setTimeout as pause } from 'node:timers/promises';
import { GetQueueAttributesCommand, ListQueuesCommand } from '@aws-sdk/client-sqs';
import { type Difference, differences } from '../support/tables.ts';
import { until } from '../support/wait.ts';
import type { Side } from './transactions.ts';
import type { World } from './world.ts';
import type { Writers } from './writers.ts';

export type Verdict = {
  readonly differences: readonly Difference[];
  /** Acknowledged ledger rows that are missing, and counters that are not what the ledger says. */
  readonly lost: readonly string[];
  readonly deadLetters: number;
  readonly conflicts: number;
};

const QUIET_MS = 120_000;

/** Waits until both tasks run and nothing is on its way: no marker, no open pull. Throws what it waited for. */
export async function waitForQuiet(world: World, arbiter: Side): Promise<void> {
  const given = new AbortController();
  // The sides may talk for ever: then no part of the waiting ends by itself.
  const late = pause(QUIET_MS, undefined, { signal: given.signal }).then(() => {
    throw new Error(`It was not quiet after ${QUIET_MS} ms.`);
  });
  try {
    await Promise.race([late, becomeQuiet(world, arbiter)]);
  } finally {
    given.abort();
    await late.catch(() => {});
  }
}

async function becomeQuiet({ twin }: World, arbiter: Side): Promise<void> {
  for (const direction of ['forward', 'reverse'] as const) await run(twin, direction);
  const follower = arbiter === 'a' ? twin.b : twin.a;
  const task = `${twin.pair}_${follower.side === 'a' ? 'f' : 'r'}`;
  await until(
    'no pull to be open',
    async (saw) => {
      await twin.settle();
      const rows = await follower.superuserRows<{ n: number }>(
        `select count(*)::int as n from pgtwin.pull where task = $1`,
        [task],
      );
      saw(`${rows[0]!.n} open`);
      return rows[0]!.n === 0;
    },
    { timeoutMs: QUIET_MS },
  );
  for (const direction of ['forward', 'reverse'] as const) await run(twin, direction);
}

/** A task that a conflict has stopped goes on by and by: someone answers. */
async function run(twin: World['twin'], direction: 'forward' | 'reverse'): Promise<void> {
  await until(
    `task ${direction} is Running`,
    async (saw) => {
      const { state, error } = await twin.task(direction);
      saw(JSON.stringify([state, error]));
      if (state === 'Failed' && error?.code !== 'conflict-stops-task')
        throw new Error(`task ${direction} failed: ${JSON.stringify(error)}`);
      return state === 'Running';
    },
    { timeoutMs: QUIET_MS },
  );
}

/** Compares the two databases, and each with what its writers know. */
export async function judge(world: World, writers: Writers): Promise<Verdict> {
  const { twin } = world;
  const lost = (await Promise.all((['a', 'b'] as const).map((side) => lostAt(world, side, writers)))).flat();
  return {
    differences: await differences({ url: twin.a.superuserUrl }, { url: twin.b.superuserUrl }),
    lost,
    deadLetters: await countDeadLetters(world),
    conflicts: (await twin.conflicts()).length,
  };
}

async function lostAt(
  { twin, foreignKeys }: World,
  side: Side,
  { acknowledged }: Writers,
): Promise<string[]> {
  const missing = await Promise.all(
    (['a', 'b'] as const).map(async (writer) => {
      const rows = await twin[side].superuserRows<{ n: number }>(
        /* sql */ `select n from unnest($2::int[]) n where not exists (select from ledger l where l.side = $1 and l.n = n.n)`,
        [writer, acknowledged[writer]],
      );
      return rows.map(({ n }) => `ledger row ${writer} ${n} is missing on side ${side}`);
    }),
  );
  const wrong = await twin[side].superuserRows<{ what: string; n: string; sum: string }>(inexactSql);
  const orphans = foreignKeys ? await twin[side].superuserRows<{ what: string }>(orphansSql) : [];
  return [
    ...missing.flat(),
    ...orphans.map(({ what }) => `${what} on side ${side} has no parent`),
    ...wrong.map(({ what, n, sum }) => `${what} on side ${side} is ${n}, the ledger has ${sum}`),
  ];
}

const inexactSql = /* sql */ `
  with should(what, n, sum) as (
    select 'counter ' || id, n, (select count(*) from ledger where counter = counter.id) from counter
    union all
    select 'tally ' || id, n, (select coalesce(sum(by), 0) from ledger where tally = tally.id) from tally
    union all
    select 'half a of ' || id, a, (select count(*) from ledger where half = halves.id and side = 'a') from halves
    union all
    select 'half b of ' || id, b, (select count(*) from ledger where half = halves.id and side = 'b') from halves
  )
  select what, n::text, sum::text from should where n is distinct from sum`;

const orphansSql = /* sql */ `
  select 'pet ' || id as what from pet where owner is not null and not exists (select from owner o where o.id = pet.owner)
  union all
  select 'leash ' || pet || ' ' || n from leash where not exists (select from pet p where p.id = leash.pet)`;

async function countDeadLetters({ sqs }: World): Promise<number> {
  const { QueueUrls = [] } = await sqs.send(new ListQueuesCommand({}));
  let count = 0;
  for (const QueueUrl of QueueUrls.filter((url) => url.includes('-dead'))) {
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['ApproximateNumberOfMessages'] }),
    );
    count += Number(Attributes?.['ApproximateNumberOfMessages'] ?? 0);
  }
  return count;
}
