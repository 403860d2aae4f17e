import type pg from 'pg';
import type { CutoverBody, CutoverReport } from '../../shared/client/verify-contract.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { connect, disconnect, type Target } from '../../shared/postgres/connect.ts';
import { furthestValue, moveOf, readSequences, type SequenceState } from '../../shared/postgres/sequences.ts';
import { codeOf, translate } from '../../shared/postgres/sqlstate.ts';
import { targetOf } from '../../shared/task/ports.ts';
import {
  type Direction,
  destinationOf,
  directions,
  type Pair,
  type Side,
  sourceOf,
  type Task,
  taskIdOf,
} from '../../shared/task/schema.ts';
import { havePassed, readMarks } from '../../shared/verify/positions.ts';
import { readTwins } from '../../shared/verify/start.ts';
import type { TwinName } from '../../shared/verify/twin.ts';
import { type ApiDeps, connectTimeoutOf } from './deps.ts';
import { type Configs, schemaThere, sequenceTwins } from './sequence-twins.ts';

/** So long both streams may take to bring over what was written before the call. */
const PATIENCE_MS = 10_000;
const POLL_MS = 50;

type Check = CutoverReport['checks'][number];
type Moved = CutoverReport['sequences'][number];
type Clients = Readonly<Record<Side, pg.Client>>;

/**
 * Moves each sequence of the destination past what the source has given out, so that the application can write there;
 * with `reverse` for the way back. Looks first whether everything has arrived. Can be repeated: a sequence never goes
 * back. Throws `action-not-allowed` if a check fails, unless only shown or forced.
 */
export async function cutOver(
  deps: ApiDeps,
  pair: Pair,
  { direction, dryRun, force }: CutoverBody,
  actor: string,
): Promise<CutoverReport> {
  const { forward, reverse, all, configs } = await readTwins(deps.repository, pair.id);
  const tasks = { forward, reverse };
  const clients = await openBoth(deps, pair);
  try {
    const checks = [...stateChecks(tasks), ...(await streamChecks(clients, pair, tasks, deps))];
    const ready = checks.every(({ ok }) => ok);
    if (!ready && !dryRun && !force)
      throw new PgtwinError('action-not-allowed', {
        detail: `Not ready: ${checks
          .filter(({ ok }) => !ok)
          .map(({ detail }) => detail)
          .join(' ')} With "force" the sequences are set all the same.`,
      });
    const twins = all.filter(({ way }) => way === 'both' || way === direction);
    const sequences = await planMoves(clients, twins, direction, configs);
    const sql = sequences.flatMap((each) => each.sql ?? []);
    if (!dryRun) {
      await run(clients[destinationOf(direction)], sql);
      const cause = `cut-over ${direction}: ${sql.length} of ${sequences.length} sequences moved${ready ? '' : ', forced'}`;
      for (const task of Object.values(tasks))
        if (task.generation > 0) await deps.repository.note(task.id, { input: 'cutover', cause, actor });
      deps.log.info('cut over', { pair: pair.id, direction, sequences: sequences.length, moved: sql.length });
    }
    const states = { forward: forward.state, reverse: reverse.state };
    return { direction, dryRun, at: deps.now().toISOString(), ready, checks, sequences, sql, states };
  } catch (error) {
    throw codeOf(error) === '' ? error : translate(error);
  } finally {
    await Promise.all(Object.values(clients).map(disconnect));
  }
}

async function openBoth(deps: ApiDeps, { sides }: Pair): Promise<Clients> {
  const open = async (target: Target) =>
    connect(target, {
      application: 'pgtwin cutover',
      connectTimeoutMs: connectTimeoutOf(deps),
      settings: { statement_timeout: '30s', lock_timeout: '5s' },
    });
  const a = await open(await targetOf(sides.a, deps.secrets));
  try {
    return { a, b: await open(await targetOf(sides.b, deps.secrets)) };
  } catch (error) {
    await disconnect(a);
    throw error;
  }
}

const isUsed = (task: Task): boolean => task.generation > 0 && task.state !== 'Released';

function stateChecks(tasks: Readonly<Record<Direction, Task>>): Check[] {
  return directions.map((direction) => {
    const { state, configVersion } = tasks[direction];
    const none = direction === 'reverse' && configVersion === 0;
    const ok = state === 'Running' || none;
    const detail = none
      ? 'There is no reverse task: what is written after the cut-over does not come back.'
      : `The ${direction} task is ${state}.`;
    return { check: `${direction}-running`, ok, detail };
  });
}

/** Whether what was written so far has arrived on both sides, and no row waits for an answer of the other side. */
async function streamChecks(
  clients: Clients,
  pair: Pair,
  tasks: Readonly<Record<Direction, Task>>,
  deps: ApiDeps,
): Promise<Check[]> {
  const running = directions.filter((direction) => tasks[direction].state === 'Running');
  const marks = await readMarks(clients, pair.id, running);
  const until = deps.now().getTime() + PATIENCE_MS;
  let arrived = await havePassed(clients, pair.id, marks);
  while (!arrived && deps.now().getTime() < until) {
    await new Promise((done) => setTimeout(done, POLL_MS));
    arrived = await havePassed(clients, pair.id, marks);
  }
  const seconds = PATIENCE_MS / 1000;
  const checks: Check[] = [
    {
      check: 'caught-up',
      ok: arrived,
      detail: arrived
        ? 'Everything that was written before has arrived on the other side.'
        : `What was written has not arrived on the other side within ${seconds} s: wait until the latency is low.`,
    },
  ];
  const follower: Side = pair.arbiter === 'a' ? 'b' : 'a';
  const task = taskIdOf(pair.id, follower === sourceOf('forward') ? 'forward' : 'reverse');
  if (isUsed(tasks.forward) && isUsed(tasks.reverse)) {
    const { rows } = await clients[follower].query<{ n: bigint }>(
      /* sql */ `select count(*) as n from pgtwin.pull where task = $1`,
      [task],
    );
    const open = Number(rows[0]?.n ?? 0);
    const detail =
      open === 0
        ? 'No row waits for the decision of a conflict.'
        : `${open} rows wait for the decision of a conflict.`;
    checks.push({ check: 'nothing-pending', ok: open === 0, detail });
  }
  return checks;
}

/** How the sequences of the destination must move; those that only one side has are named by a note. */
async function planMoves(
  clients: Clients,
  twins: readonly TwinName[],
  direction: Direction,
  configs: Configs,
): Promise<Moved[]> {
  const [source, destination] = [sourceOf(direction), destinationOf(direction)];
  const schemasOf = (side: Side): string[] => [...new Set(twins.map(({ names }) => names[side].schema))];
  // A schema's tables may all have gone to others: its sequences are in the one that it is called there.
  const named = schemaThere(configs, direction);
  const mapped = schemasOf(source).map((schema) => named(schema, schemasOf(destination)));
  const stateOf = (side: Side, schemas: readonly string[]): Promise<SequenceState[]> =>
    readSequences(
      clients[side],
      twins.map(({ names }) => names[side]),
      schemas,
    );
  const [here, there] = await Promise.all([
    stateOf(source, schemasOf(source)),
    stateOf(destination, [...new Set([...schemasOf(destination), ...mapped])]),
  ]);
  const twinOf = sequenceTwins(twins, direction, there, configs);
  const moves: Moved[] = [];
  for (const from of here) {
    const to = twinOf(from);
    const last = from.called ? from.last : null;
    const name = { schema: from.schema, name: from.name, source: last };
    if (!to) {
      moves.push({ ...name, old: '', new: '', sql: null, note: 'The destination has no such sequence.' });
      continue;
    }
    const [inSource, inDestination, missed] = await furthestOf(clients, source, from, to);
    const move = moveOf(to, [last === null ? null : BigInt(last), inSource, inDestination]);
    const note = [move.note, missed].filter(Boolean).join(' ');
    moves.push({ ...move, source: last, ...(note ? { note } : {}) });
  }
  return moves;
}

/** The furthest values of its columns on both sides; what can't be read in time is said. */
async function furthestOf(
  clients: Clients,
  source: Side,
  from: SequenceState,
  to: SequenceState,
): Promise<[bigint | null, bigint | null, string | undefined]> {
  // Its own direction counts: that of the sequence which is moved.
  const { increment } = to;
  try {
    const [one, other] = await Promise.all([
      furthestValue(clients[source], { columns: from.columns, increment }),
      furthestValue(clients[source === 'a' ? 'b' : 'a'], to),
    ]);
    return [one, other, undefined];
  } catch (error) {
    const { message } = translate(error);
    return [null, null, `The values of its columns were not looked at: ${message}`];
  }
}

/** Not in one transaction: a sequence that was set stays set anyway. */
async function run(client: pg.Client, statements: readonly string[]): Promise<void> {
  for (const sql of statements) await client.query(sql);
}
