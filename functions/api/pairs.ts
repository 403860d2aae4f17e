import { randomInt } from 'node:crypto';
import type { CreatePairBody } from '../../shared/client/contract.ts';
import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { type SecretStore, targetOf } from '../../shared/task/ports.ts';
import type { Repository } from '../../shared/task/repository.ts';
import {
  directions,
  type Endpoint,
  type Pair,
  type Side,
  sides,
  type Task,
  taskIdOf,
} from '../../shared/task/schema.ts';
import { isSameDatabase, type ServerIdentity, visit } from './connectivity.ts';
import { type ApiDeps, connectTimeoutOf } from './deps.ts';
import { type GivenEndpoint, resolveEndpoint, sameAddress } from './endpoint.ts';

const ID_LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';
const ID_LENGTH = 10;

export const newPairId = (): string =>
  Array.from({ length: ID_LENGTH }, () => ID_LETTERS[randomInt(ID_LETTERS.length)]).join('');

/** Items of a pair beside its tasks lie in the forward task's partition, so that they go with it. */
const homeOf = (pairId: string): string => taskIdOf(pairId, 'forward');

/**
 * Creates a pair after a visit to both databases. Nothing is stored before both have answered, and what was stored
 * is taken back when a later step fails.
 */
export async function createPair(deps: ApiDeps, id: string, body: CreatePairBody): Promise<Pair> {
  const given = {
    a: resolveEndpoint(body.sides.a, 'sides.a'),
    b: resolveEndpoint(body.sides.b, 'sides.b'),
  };
  if (sameAddress(given.a, given.b))
    throw new PgtwinError('same-database', {
      field: 'sides.b',
      detail: `Both sides are the database ${given.a.database} at ${given.a.host}:${given.a.port}.`,
    });
  const [a, b] = await visitBoth(deps, given);
  if (isSameDatabase(a, b))
    throw new PgtwinError('same-database', {
      field: 'sides.b',
      detail: 'Both sides are the same database of the same server, under different names.',
    });

  const owned: string[] = [];
  try {
    const endpoints = {
      a: await withSecret(deps.secrets, given.a, `${id}-a`, owned),
      b: await withSecret(deps.secrets, given.b, `${id}-b`, owned),
    };
    const { name = `pair ${id}`, environment, pool, arbiter, shards } = body;
    const pair: Pair = {
      ...{ id, name, pool, arbiter, shards, sides: endpoints, createdAt: deps.now().toISOString() },
      ...(environment === undefined ? {} : { environment }),
    };
    const secrets = { pk: homeOf(id), sk: 'secrets', version: 1, body: owned };
    await deps.repository.table.put(secrets, 'any');
    await deps.repository.createPair(pair);
    return pair;
  } catch (error) {
    for (const reference of owned) await deps.secrets.remove(reference).catch(() => {});
    await deps.repository.removePair(id).catch(() => {});
    throw error;
  }
}

/** Both at once; of two failures the first side's is reported. */
async function visitBoth(
  deps: ApiDeps,
  given: Record<Side, GivenEndpoint>,
): Promise<[ServerIdentity, ServerIdentity]> {
  const visits = await Promise.allSettled(
    sides.map(async (side) => {
      const { secret, ...endpoint } = given[side];
      const field = `sides.${side}`;
      const target =
        secret === undefined
          ? { ...endpoint, password: given[side].password! }
          : await readSecret(deps.secrets, { ...endpoint, secret }, field);
      return visit(target, field, connectTimeoutOf(deps));
    }),
  );
  return visits.map((visited) => {
    if (visited.status === 'rejected') throw visited.reason;
    return visited.value;
  }) as [ServerIdentity, ServerIdentity];
}

async function readSecret(secrets: SecretStore, endpoint: Endpoint, field: string) {
  try {
    return await targetOf(endpoint, secrets);
  } catch (error) {
    if (!(error instanceof PgtwinError)) throw error;
    throw new PgtwinError(error.code, { ...error.facts, field: `${field}.secret` }, { cause: error });
  }
}

async function withSecret(
  secrets: SecretStore,
  { password, secret, ...endpoint }: GivenEndpoint,
  name: string,
  owned: string[],
): Promise<Endpoint> {
  if (secret !== undefined) return { ...endpoint, secret };
  const reference = await secrets.put(name, password);
  owned.push(reference);
  return { ...endpoint, secret: reference };
}

export const isDeleting = async ({ table }: Repository, pairId: string): Promise<boolean> =>
  (await table.get(homeOf(pairId), 'delete-requested')) !== undefined;

/** A task that never started has made nothing in any database: the API itself releases it. */
const neverStarted = (task: Task): boolean => task.generation === 0;

/**
 * Releases both tasks of a pair and marks it for removal. True if the pair is gone already; else the captures are at
 * work on what was made, and `sweepPair` removes the pair when they are done. Safe to repeat.
 */
export async function deletePair(deps: ApiDeps, pair: Pair, actor: string): Promise<boolean> {
  const { repository } = deps;
  const tasks = await readTasks(repository, pair.id);
  if (tasks.every(neverStarted)) {
    await removePair(deps, pair.id);
    return true;
  }
  // Asked again after leftovers were shown: the user knows them, and the pair goes.
  if (tasks.every(({ state }) => state === 'Released')) {
    await removePair(deps, pair.id);
    return true;
  }
  const mark = { pk: homeOf(pair.id), sk: 'delete-requested', version: 1, body: { by: actor } };
  await repository.table.put(mark, 'any');
  for (const task of tasks) await releaseTask(repository, task, actor);
  return sweepPair(deps, pair.id);
}

/** Releases one task; safe to repeat. */
export async function releaseTask(repository: Repository, task: Task, actor: string): Promise<void> {
  if (task.state === 'Released') return;
  const cause = 'release was asked for';
  if (task.state !== 'Releasing') await repository.move(task.id, 'release', { cause, actor });
  if (neverStarted(task))
    await repository.tryMove(task.id, 'released', { cause: 'the task never started', actor: 'api' });
}

/**
 * Removes a pair that was deleted once both tasks are released. With leftovers (a released task that has an error
 * names them) it stays to be read, until it is deleted again. True if it was removed.
 */
export async function sweepPair(deps: ApiDeps, pairId: string): Promise<boolean> {
  if (!(await isDeleting(deps.repository, pairId))) return false;
  const tasks = await readTasks(deps.repository, pairId);
  const clean = tasks.every(({ state, error }) => state === 'Released' && error === undefined);
  if (clean) await removePair(deps, pairId);
  return clean;
}

async function removePair(deps: ApiDeps, pairId: string): Promise<void> {
  const { table } = deps.repository;
  const owned = await table.get(homeOf(pairId), 'secrets');
  // Secrets first: were the item that names them removed before, a crash here would leave them for ever.
  for (const reference of Array.isArray(owned?.body) ? owned.body : [])
    await deps.secrets.remove(String(reference));
  await deps.repository.removePair(pairId);
}

const readTasks = (repository: Repository, pairId: string): Promise<Task[]> =>
  Promise.all(directions.map((direction) => repository.getTask(taskIdOf(pairId, direction))));
