import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { openDatabase, type TestDatabase } from '../../../test/support/database.ts';
import { listTables } from '../catalog.ts';
import { compareSchemas } from './compare.ts';
import { objectsOf, type SchemaModel } from './model.ts';
import { planSchema, statementsOf } from './plan.ts';
import { readDestination, readSchema } from './read.ts';
import { renameModel } from './rename.ts';
import type { SchemaPlan } from './statement.ts';
import { unsupportedObjects } from './unsupported.ts';

const sqlOf = (file: string): Promise<string> => readFile(new URL(file, import.meta.url), 'utf8');

/** The zoo, with what is new in 18 where both servers know it. */
async function openZoo(): Promise<TestDatabase> {
  const source = await openDatabase('a', { schema: await sqlOf('zoo.sql') });
  if (source.server.major >= 18) await source.query(await sqlOf('zoo-18.sql'));
  return source;
}

const readAll = async (database: TestDatabase): Promise<SchemaModel> =>
  readSchema(database.client, await listTables(database.client));

async function run(database: TestDatabase, plan: SchemaPlan): Promise<void> {
  for (const { sql, object } of statementsOf(plan)) {
    await database.query(sql).catch((cause) => {
      throw new Error(`${object.kind} ${object.schema}.${object.name}: ${cause.message}\n${sql}`, { cause });
    });
  }
}

/** The model as sorted lines, one for each fact, so that a difference is short. */
const factsOf = (model: SchemaModel): string[] =>
  model.objects
    .flatMap((object) => flat(`${object.kind} ${object.schema}.${object.name}`, { ...object, version: '' }))
    .toSorted();

const flat = (path: string, value: unknown): string[] =>
  typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, each]) => flat(`${path} ${each?.name ?? ''}/${key}`, each))
    : [`${path} = ${value}`];

test('a zoo of objects arrives as it was', async () => {
  await using source = await openZoo();
  await using destination = await openDatabase('b');
  const model = await readAll(source);
  expect(unsupportedObjects(model).filter((each) => each.severity === 'error')).toEqual([]);
  await run(
    destination,
    planSchema(model, { destination: await readDestination(destination.client, model) }),
  );

  const arrived = await readAll(destination);
  expect(compareSchemas(model, arrived)).toEqual([]);
  expect(factsOf(arrived)).toEqual(factsOf(model));
  expect(
    statementsOf(planSchema(model, { destination: await readDestination(destination.client, model) })),
  ).toEqual([]);
  const dumps = await Promise.all([dump(source), dump(destination)]);
  expect(dumps[1]).toEqual(dumps[0]);
});

/** pg_dump of the server's version, sorted by statement; empty where there is none. */
async function dump(database: TestDatabase): Promise<string[]> {
  const binary = `/usr/lib/postgresql/${database.server.major}/bin/pg_dump`;
  if (!existsSync(binary)) return [];
  const { stdout } = await promisify(execFile)(
    binary,
    ['--schema-only', '--no-owner', '--no-privileges', '--dbname', database.superuserUrl],
    { maxBuffer: 1 << 26 },
  );
  return stdout
    .replaceAll(/^\\(un)?restrict .*$/gm, '')
    .split(/\n\n+/)
    .toSorted();
}

test('after a stop behind any statement, planning again finishes the work', async () => {
  await using source = await openZoo();
  await using destination = await openDatabase('b');
  const model = await readAll(source);
  const total = statementsOf(planSchema(model)).length;
  for (let steps = 0; steps < total; steps++) {
    const plan = planSchema(model, { destination: await readDestination(destination.client, model) });
    const [next] = statementsOf(plan);
    if (!next) break;
    await destination.query(next.sql);
  }
  expect(factsOf(await readAll(destination))).toEqual(factsOf(model));
});

test('mapped names reach every text that names them', async () => {
  await using source = await openZoo();
  await using destination = await openDatabase('b', { schema: 'create extension pg_trgm schema public' });
  const model = await readAll(source);
  const rename = (kind: string, schema: string, name: string) => ({
    schema: kind === 'extension' ? schema : `to.${schema}`,
    name: kind === 'table' || kind === 'type' || kind === 'sequence' ? `${name} "x"` : name,
  });
  await run(destination, planSchema(model, { rename }));
  const arrived = await readAll(destination);
  const wanted = renameModel(model, rename);
  expect(compareSchemas(wanted, arrived)).toEqual([]);
  const tables = (each: SchemaModel) =>
    objectsOf(each, 'table').map((table) => `${table.schema}.${table.name}`);
  expect(tables(arrived).toSorted()).toEqual(tables(wanted).toSorted());
});
