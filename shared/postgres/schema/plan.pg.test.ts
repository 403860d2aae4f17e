import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { openDatabase, type TestDatabase } from '../../../test/support/database.ts';
import { listTables } from '../catalog.ts';
import { compareSchemas } from './compare.ts';
import type { SchemaModel } from './model.ts';
import { planSchema, statementsOf } from './plan.ts';
import { readDestination, readSchema } from './read.ts';
import { type Rename, renameModel } from './rename.ts';
import type { SchemaPlan } from './statement.ts';
import { unsupportedObjects } from './unsupported.ts';

const sqlOf = (file: string): Promise<string> => readFile(new URL(file, import.meta.url), 'utf8');

/** The zoo, with what is new in 18 where both servers know it. */
async function openZoo(destination: TestDatabase): Promise<TestDatabase> {
  const source = await openDatabase('a', { schema: await sqlOf('zoo.sql') });
  if (Math.min(source.server.major, destination.server.major) >= 18) {
    await source.query(await sqlOf('zoo-18.sql'));
  }
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

/**
 * The model as sorted lines, one for each fact, so that a difference is short. Where two versions meet, without what
 * only one of them knows or what they print in different ways: names of not-null constraints, queries.
 */
const factsOf = (model: SchemaModel, versions = 1): string[] =>
  model.objects
    .flatMap((object) => flat(`${object.kind} ${object.schema}.${object.name}`, { ...object, version: '' }))
    .filter((line) => versions === 1 || !/\/notNullConstraint|^view .*\/definition = /.test(line))
    .toSorted();

const versionsOf = (...databases: TestDatabase[]): number =>
  new Set(databases.map((each) => each.server.major)).size;

const flat = (path: string, value: unknown): string[] =>
  typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, each]) => flat(`${path} ${each?.name ?? ''}/${key}`, each))
    : [`${path} = ${value}`];

test('a zoo of objects arrives as it was', async () => {
  await using destination = await openDatabase('b');
  await using source = await openZoo(destination);
  const model = await readAll(source);
  expect(unsupportedObjects(model).filter((each) => each.severity === 'error')).toEqual([]);
  await run(
    destination,
    planSchema(model, { destination: await readDestination(destination.client, model) }),
  );

  const arrived = await readAll(destination);
  expect(compareSchemas(model, arrived)).toEqual([]);
  const versions = versionsOf(source, destination);
  expect(factsOf(arrived, versions)).toEqual(factsOf(model, versions));
  expect(
    statementsOf(planSchema(model, { destination: await readDestination(destination.client, model) })),
  ).toEqual([]);
  const dumps = await Promise.all([dump(source), dump(destination)]);
  if (versions === 1) expect(dumps[1]).toEqual(dumps[0]);
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
  await using destination = await openDatabase('b');
  await using source = await openZoo(destination);
  const model = await readAll(source);
  const total = statementsOf(planSchema(model)).length;
  for (let steps = 0; steps < total; steps++) {
    const plan = planSchema(model, { destination: await readDestination(destination.client, model) });
    const [next] = statementsOf(plan);
    if (!next) break;
    await destination.query(next.sql);
  }
  const versions = versionsOf(source, destination);
  expect(factsOf(await readAll(destination), versions)).toEqual(factsOf(model, versions));
});

test('mapped names reach every text that names them', async () => {
  await using destination = await openDatabase('b');
  await using source = await openZoo(destination);
  const model = await readAll(source);
  const rename: Rename = (kind, schema, name) => ({
    schema: `to.${schema}`,
    name: kind === 'table' || kind === 'type' || kind === 'sequence' ? `${name} "x"` : name,
  });
  const wanted = renameModel(model, rename);
  const there = await readDestination(destination.client, wanted);
  await run(destination, planSchema(model, { rename, destination: there }));

  const arrived = await readAll(destination);
  expect(compareSchemas(wanted, arrived)).toEqual([]);
  // Texts are quoted in another way, and names that PostgreSQL gave to constraints hold those of the tables.
  const lines = (each: SchemaModel) =>
    factsOf(each).filter(
      (line) => !/\/(definition|default|notNullConstraint)\b|^schema public\.public/.test(line),
    );
  expect(lines(arrived)).toEqual(lines(wanted));
});
