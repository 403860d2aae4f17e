import { describe, expect, test } from 'vitest';
import type { TaskInput } from '../../shared/task/machine.ts';
import type { TaskStatus } from '../../shared/task/schema.ts';
import { openTestApi, storePair, type TestApi } from '../../test/support/api.ts';
import { openCommandLine } from '../../test/support/command-line.ts';
import { until } from '../../test/support/wait.ts';

const why = { cause: 'test', actor: 'test' };
async function move(api: TestApi, task: string, ...inputs: TaskInput[]): Promise<void> {
  for (const input of inputs) await api.repository.move(task, input, why);
}
const started: TaskInput[] = ['precheck', 'precheck-passed', 'start'];

async function open() {
  const api = openTestApi();
  const id = await storePair(api);
  const pgtwin = openCommandLine(api);
  await pgtwin(`configure ${id} --all`);
  return { api, id, pgtwin };
}

const status = (more: Partial<TaskStatus> = {}): TaskStatus => ({
  at: new Date().toISOString(),
  phase: 'copy',
  latencySeconds: 0.21,
  rowsApplied: 12_345,
  transactionsApplied: 233,
  conflicts: 3,
  conflictsByKind: {},
  rowsPerSecond: 1234.4,
  bytesPerSecond: 5_400_000,
  walRetainedBytes: 16_777_216,
  position: null,
  copy: {
    ...{ tables: 14, tablesDone: 12, rowsEstimated: 1_800_000, rowsDone: 1_200_000, bytesDone: 1 },
    ...{ percent: 66.6, etaSeconds: 12 },
  },
  notes: ['origins are not used'],
  ...more,
});

describe('configure', () => {
  test('both tasks from flags; the same again as a file', async () => {
    const { api, id, pgtwin } = await open();
    const ran = await pgtwin(
      `configure ${id} --include shop --include crm.c* --exclude shop.log_* --policy last-write-wins --no-full ` +
        '--set types.schema=false --set retryConnectionMinutes=60 --reverse-include shop.orders --json',
    );
    expect(ran).toMatchObject({ code: 0, err: '' });
    const { forward, reverse } = JSON.parse(ran.out);
    expect(forward.config).toMatchObject({
      objects: {
        include: [
          { schema: 'shop', table: '*' },
          { schema: 'crm', table: 'c*' },
        ],
        exclude: [{ schema: 'shop', table: 'log_*' }],
      },
      conflictPolicy: 'last-write-wins',
      types: { schema: false, full: false, incremental: true },
      retryConnectionMinutes: 60,
    });
    expect(reverse).toMatchObject({ autoStart: true, config: { retryConnectionMinutes: 60 } });
    expect(reverse.config.objects).toMatchObject({
      include: [{ schema: 'shop', table: 'orders' }],
      exclude: [],
    });

    const file = JSON.stringify({ forward: forward.config, reverse: { ...reverse.config, autoStart: true } });
    const again = await pgtwin(`configure ${id} --file - --set chunkRows=5000`, { files: { '-': file } });
    expect(again.out).toMatch(
      /forward +configured, 2 pattern\(s\), conflicts: last-write-wins +NotConfigured/,
    );
    const stored = await api.call('GET', `pairs/${id}/tasks/forward`);
    expect(stored.body.config).toEqual({ ...forward.config, chunkRows: 5000 });
  });

  test('what the API finds wrong is named by its field', async () => {
    const { pgtwin } = await open();
    const ran = await pgtwin('configure --all --set frobs=1 --json');
    expect(ran.code).toBe(1);
    expect(JSON.parse(ran.err).error).toMatchObject({
      code: 'invalid-request',
      field: 'forward.frobs',
      detail: expect.stringMatching(/unknown field/),
    });
  });
});

describe('actions', () => {
  test('one that is not allowed is refused with what is', async () => {
    const { pgtwin, id } = await open();
    const ran = await pgtwin(`resume ${id}`);
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(
      /pgtwin resume: "resume" is not allowed in state NotConfigured; allowed are: configure/,
    );
  });

  test('without --task it is for the tasks that allow it', async () => {
    const { api, id, pgtwin } = await open();
    await move(api, `${id}_f`, ...started, 'initialized');
    expect(await pgtwin('pause')).toMatchObject({ code: 0, out: 'forward  Pausing\n' });
    await move(api, `${id}_f`, 'paused');
    await move(api, `${id}_r`, ...started, 'initialized');
    expect(JSON.parse((await pgtwin('pause --json')).out)).toMatchObject({ reverse: { state: 'Pausing' } });
    await move(api, `${id}_r`, 'paused');
    expect((await pgtwin('pause')).out).toBe('forward  Paused already\nreverse  Paused already\n');
    expect((await pgtwin('resume')).out).toBe('forward  Running\nreverse  Running\n');
  });

  test('what can not be undone is asked for, and needs --yes where nobody can answer', async () => {
    const { pgtwin, id } = await open();
    expect(await pgtwin(`release ${id}`)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/needs --yes/),
    });
    const no = await pgtwin(`release ${id}`, { answers: ['n'] });
    expect(no).toMatchObject({ code: 1, err: 'pgtwin release: Not confirmed; nothing was done.\n' });
    expect(pgtwin.asked[0]).toBe(
      `A released task can not be started again. Really release the forward and reverse task of ${id} (shop)? [y/N] `,
    );
    expect((await pgtwin(`release ${id} --task forward`, { answers: ['y'] })).out).toBe(
      'forward  Released\n',
    );
    expect((await pgtwin(`release ${id} --yes --wait`)).code).toBe(0);
    expect((await pgtwin(`release ${id}`)).out).toBe(
      'forward  Released already\nreverse  Released already\n',
    );
    expect((await pgtwin(`pair delete ${id} -y`)).out).toBe(`Pair ${id} is gone.\n`);
    expect((await pgtwin('pair list')).out).toMatch(/There is no pair yet/);
  });

  test('leftovers of a release are listed, and end with 1', async () => {
    const { api, id, pgtwin } = await open();
    await move(api, `${id}_f`, ...started);
    const ended = pgtwin(`pair delete shop --yes --wait --timeout 60`);
    await until('the release', async () => (await api.repository.getTask(`${id}_f`)).state === 'Releasing');
    await api.repository.move(`${id}_f`, 'released', {
      ...why,
      error: { code: 'x', detail: 'slot on a: gone away; by hand: select 1', advice: 'Run the SQL.', at: '' },
    });
    const ran = await ended;
    expect(ran.code).toBe(1);
    expect(ran.out).toContain(
      'forward: some things were left behind. Run the SQL.\n  slot on a: gone away; by hand',
    );
    expect((await pgtwin(`pair delete shop --yes --json`)).out).toContain('"gone": true');
  });

  test('--wait ends with the state, with what the task failed with, or with its time', async () => {
    const { api, id, pgtwin } = await open();
    await move(api, `${id}_f`, ...started);
    const late = await pgtwin('task status --until Running --timeout 1');
    expect(late).toMatchObject({
      code: 1,
      err: expect.stringMatching(/Not Running within 1 s: forward is Initializing/),
    });
    const waiting = pgtwin('task status --task forward --until Running');
    await move(api, `${id}_f`, 'initialized');
    expect((await waiting).code).toBe(0);
    await move(api, `${id}_f`, 'pause', 'paused');
    await api.repository.move(`${id}_f`, 'resume', why);
    await api.repository.move(`${id}_f`, 'give-up', {
      ...why,
      error: { code: 'slot-lost', detail: 'The slot is gone.', advice: 'Restart the task.', at: '' },
    });
    const failed = await pgtwin('task status --until Paused --json');
    expect(failed.code).toBe(1);
    expect(JSON.parse(failed.err).error).toEqual({
      code: 'slot-lost',
      detail: 'The forward task failed: The slot is gone.',
      advice: 'Restart the task.',
    });
  });
});

describe('task status', () => {
  test('shows states, a progress bar, latency and errors', async () => {
    const { api, id, pgtwin } = await open();
    await move(api, `${id}_f`, ...started);
    await api.repository.putStatus(`${id}_f`, status());
    const { out } = await pgtwin('task status');
    expect(out).toBe(
      [
        `shop (${id})   a: shop at a.example.com:5432   b: shop at b.example.com:5432`,
        '  forward  a -> b   Initializing    latency 210 ms   1,234 rows/s   5.4 MB/s   WAL kept 17 MB',
        '      copy     [################........]  66.6 %   12 of 14 tables   1,200,000 of about 1,800,000 rows   12.0 s to go',
        '      applied  12,345 rows in 233 transactions, 3 conflicts',
        '      note     origins are not used',
        '  reverse  b -> a   NotConfigured',
        '      starts by itself when the forward task runs',
        '',
      ].join('\n'),
    );
    const json = JSON.parse((await pgtwin('task status --task forward --json')).out);
    expect(json).toMatchObject({
      id,
      tasks: { forward: { state: 'Initializing', status: { conflicts: 3 } } },
    });
    expect(json.tasks.reverse).toBeUndefined();
  });

  test('a watch on a terminal draws over itself, with colours and the course of the latency', async () => {
    const { api, id, pgtwin } = await open();
    await move(api, `${id}_f`, ...started, 'initialized');
    await api.repository.putStatus(`${id}_f`, status({ copy: null }));
    const stop = new AbortController();
    let looks = 0;
    const written: string[] = [];
    const onOutput = (text: string): void => {
      written.push(text);
      looks += 1;
      if (looks === 2) stop.abort();
    };
    const watching = pgtwin('task status --watch --task forward', {
      ...{ terminal: true, colours: true, signal: stop.signal, onOutput },
    });
    await expect(watching).rejects.toThrow(/abort/i);
    expect(written[0]).toContain('\u001b[32mRunning');
    expect(written[1]?.startsWith('\u001b[4A\r\u001b[J')).toBe(true);
    expect(written[1]).toContain('latency  ██');
  });

  test('with --json a watch is one line a look', async () => {
    const { id, pgtwin } = await open();
    const stop = new AbortController();
    const lines: string[] = [];
    const onOutput = (text: string): void => {
      lines.push(text);
      stop.abort();
    };
    await expect(pgtwin('task status -w --json', { signal: stop.signal, onOutput })).rejects.toThrow();
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ id, tasks: { reverse: { state: 'NotConfigured' } } });
    expect(lines[0]).toMatch(/^[^\n]*\n$/);
  });
});

test('events in pages of one task, and merged of both', async () => {
  const { api, id, pgtwin } = await open();
  await move(api, `${id}_f`, ...started);
  const all = JSON.parse((await pgtwin(`events ${id} --json`)).out).events;
  expect(all.map(({ task, to }: { task: string; to: string }) => [task, to])).toContainEqual([
    'reverse',
    'NotConfigured',
  ]);
  expect(all.map(({ at }: { at: string }) => at)).toEqual(
    all
      .map(({ at }: { at: string }) => at)
      .sort()
      .reverse(),
  );
  const first = JSON.parse((await pgtwin(`events ${id} --task forward --limit 3 --json`)).out);
  expect(first.events.map(({ to }: { to: string }) => to)).toEqual([
    'Initializing',
    'PrecheckPassed',
    'Prechecking',
  ]);
  const rest = await pgtwin(['events', id, '--task', 'forward', '--cursor', first.next]);
  expect(rest.out).toMatch(
    /^TIME +TASK +STATE +BY +WHY\n\S+ +forward +NotConfigured -> NotConfigured +the-admin +configured/,
  );
});

test('a pair is found by id, by a name that only it has, or by being the only one', async () => {
  const { api, id, pgtwin } = await open();
  for (const given of [` ${id}`, ' shop', ''])
    expect((await pgtwin(`pair show${given}`)).out).toContain(`(${id})`);
  expect((await pgtwin('pair show')).out).toMatch(/user sync, TLS require, password in local:a/);
  await storePair(api, 'pair0002');
  for (const given of [' shop', '']) {
    const ran = await pgtwin(`pair show${given}`);
    expect(ran).toMatchObject({
      code: 2,
      err: expect.stringMatching(/there are 2 pairs, say which one: .*pair0002 \(shop\)/),
    });
  }
  expect((await pgtwin('pair show pair0002')).code).toBe(0);
});

test('limits are shown and changed one by one; what is no limit is refused by name', async () => {
  const { id, pgtwin } = await open();
  const line = `limits ${id} --task forward --set full.rowsPerSecond=5000 --set incremental.bytesPerSecond=100 --json`;
  expect(JSON.parse((await pgtwin(line)).out)).toMatchObject({
    forward: { full: { rowsPerSecond: 5000, queriesPerSecond: null }, incremental: { bytesPerSecond: 100 } },
  });
  await pgtwin(`limits ${id} --task forward --set incremental.bytesPerSecond=none`);
  const shown = await pgtwin(`limits ${id}`);
  expect(shown.out).toMatch(/^TASK +LIMIT +PER SECOND\n/);
  expect(shown.out).toMatch(/forward +full.rowsPerSecond +5,000\n/);
  expect(shown.out).toMatch(/forward +incremental.bytesPerSecond +none\n/);
  expect(shown.out).toMatch(/reverse +full.rowsPerSecond +none\n/);
  for (const wrong of ['full.speed=1', 'full.rowsPerSecond=-1', 'rowsPerSecond=1'])
    expect(await pgtwin(`limits ${id} --task forward --set ${wrong}`)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/limits are full.queriesPerSecond/),
    });
  expect((await pgtwin(`limits ${id} --set full.rowsPerSecond=1`)).err).toMatch(/--set needs --task/);
});

test('the audit log, also of what was refused', async () => {
  const { id, pgtwin } = await open();
  await pgtwin(`start ${id}`);
  const shown = await pgtwin(`audit ${id}`);
  expect(shown.out).toMatch(/^TIME +ACTOR +ROLE +OPERATION +OF +STATUS +PROBLEM\n/);
  expect(shown.out).toMatch(/the-admin +admin +startTask +pair0001 forward +409 +action-not-allowed\n/);
  const { entries } = JSON.parse((await pgtwin('audit --actor the-admin --limit 1 --json')).out);
  expect(entries).toMatchObject([{ operation: 'startTask', status: 409 }]);
  expect((await pgtwin('audit --actor nobody')).out).toBe('Nothing was asked for yet.\n');
});
