import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { until } from '../../test/support/wait.ts';
import { type PostgresServer, startPostgres } from './postgres-server.ts';

const quick = { fsync: 'off' };

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'pgtwin-server-test-'));
  // A server that runs as another user has to get through.
  await chmod(path, 0o755);
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function ask<Row extends pg.QueryResultRow>(
  url: string | pg.ClientConfig,
  sql: string,
): Promise<Row[]> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

test('a server starts from npm packages alone, ready for logical replication, with UTF8, C.UTF-8 and checksums', async () => {
  const dataDir = join(await folder(), 'data');
  const server = await startPostgres({ dataDir, settings: { ...quick, work_mem: '5MB' } });
  onTestFinished(() => server.stop());
  expect(server.major).toBeGreaterThanOrEqual(15);
  const names = [
    'wal_level',
    'track_commit_timestamp',
    'data_checksums',
    'server_encoding',
    'work_mem',
    'fsync',
  ];
  const [row] = await ask(
    server.url,
    `select ${names.map((name) => `current_setting('${name}') as ${name}`).join(', ')},
            (select datcollate from pg_database where datname = 'postgres') as collate`,
  );
  expect(row).toEqual({
    wal_level: 'logical',
    track_commit_timestamp: 'on',
    data_checksums: 'on',
    server_encoding: 'UTF8',
    work_mem: '5MB',
    fsync: 'off',
    collate: 'C.UTF-8',
  });
  const overSocket = { ...server, host: server.socketDir, database: 'postgres' };
  expect(await ask(overSocket, 'select inet_server_addr() as address')).toEqual([{ address: null }]);
  await expect(ask({ ...overSocket, password: 'wrong' }, 'select 1')).rejects.toThrow(/password/);
});

test('a restart keeps data and port, also after a crash stop; a disposable server leaves no file', async () => {
  const dataDir = join(await folder(), 'data');
  const server = await startPostgres({ dataDir, settings: quick });
  await ask(server.url, 'create table item (id int); insert into item values (1)');
  await server.restart('immediate');
  expect(await ask(server.url, 'select id from item')).toEqual([{ id: 1 }]);
  await server.restart();
  expect(await ask(server.url, 'select id from item')).toEqual([{ id: 1 }]);
  await server.stop();
  expect(existsSync(dataDir)).toBe(false);
  expect(existsSync(server.socketDir)).toBe(false);
});

test('a server that can not start says what PostgreSQL said', async () => {
  const dataDir = join(await folder(), 'data');
  const start = startPostgres({ dataDir, settings: { ...quick, shared_buffers: 'a lot' } });
  await expect(start).rejects.toThrow(/shared_buffers|configuration file/);
  const nowhere = startPostgres({ dataDir, binDir: '/nowhere' });
  await expect(nowhere).rejects.toMatchObject({ code: 'prerequisite-missing' });
});

test('kill -9 of the owner ends the server; the next start on the folder has its data, port and password', async () => {
  const dataDir = join(await folder(), 'data');
  const module = new URL('./postgres-server.ts', import.meta.url).href;
  const owner = spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `const { startPostgres } = await import(${JSON.stringify(module)});
       const { url, port } = await startPostgres(${JSON.stringify({ dataDir, settings: quick, persistent: true })});
       console.log(JSON.stringify({ url, port }));
       setInterval(() => undefined, 1000);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [line] = await once(owner.stdout, 'data');
  const former = JSON.parse(String(line)) as { url: string; port: number };
  await ask(former.url, 'create table item (id int); insert into item values (1)');
  await expect(startPostgres({ dataDir, settings: quick, persistent: true })).rejects.toThrow(/is in use/);

  owner.kill('SIGKILL');
  await once(owner, 'exit');
  // At once, while the former server may still be running.
  const server: PostgresServer = await startPostgres({ dataDir, settings: quick, persistent: true });
  expect(server.url).toBe(former.url);
  expect(await ask(server.url, 'select id from item')).toEqual([{ id: 1 }]);
  await server.stop();
  expect(existsSync(dataDir)).toBe(true);
});

test('a server whose owner was killed stops by itself and a disposable one removes its data', async () => {
  const dataDir = join(await folder(), 'data');
  const module = new URL('./postgres-server.ts', import.meta.url).href;
  const owner = spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `const { startPostgres } = await import(${JSON.stringify(module)});
       const { url } = await startPostgres(${JSON.stringify({ dataDir, settings: quick })});
       console.log(url);
       setInterval(() => undefined, 1000);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [url] = await once(owner.stdout, 'data');
  await ask(String(url).trim(), 'select 1');
  owner.kill('SIGKILL');
  await until('the data folder to be removed', async () => !existsSync(dataDir));
  await expect(ask(String(url).trim(), 'select 1')).rejects.toThrow();
});
