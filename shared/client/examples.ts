/** Examples of answers, for the description of the API; a test holds each against its schema. */

const at = '2026-03-01T10:00:00.000Z';
const limits = {
  full: { queriesPerSecond: null, rowsPerSecond: 50_000, bytesPerSecond: null },
  incremental: { rowsPerSecond: null, bytesPerSecond: 4_000_000 },
};
const event = {
  ...{ at, from: 'PrecheckPassed', to: 'Initializing', input: 'start' },
  ...{ cause: 'start was asked for', actor: 'alice' },
};
const task = (direction: 'forward' | 'reverse') => ({
  ...{ id: `k3v9x0qa7m_${direction[0]}`, pairId: 'k3v9x0qa7m', direction },
  ...{ state: 'Running', version: 7, generation: 1, configured: true, autoStart: direction === 'reverse' },
  allowedActions: ['pause', 'release'],
  limits,
  status: {
    ...{ at, phase: 'streaming', latencySeconds: 0.08, rowsApplied: 120_400, transactionsApplied: 30_100 },
    ...{ conflicts: 2, conflictsByKind: { insert_exists: 2 }, rowsPerSecond: 812.5, bytesPerSecond: 94_210 },
    ...{ walRetainedBytes: 16_777_216, position: '00000000016B3748.FFFFFFFF', copy: null, notes: [] },
  },
  precheck: { at, successRate: 100, ready: true },
  ...{ createdAt: at, updatedAt: at },
});
const config = {
  objects: { include: [{ schema: 'public', table: '*' }], exclude: [] },
  conflictPolicy: 'last-write-wins',
};
const detail = (direction: 'forward' | 'reverse') => ({ ...task(direction), events: [event] });
const endpoint = (name: string) => ({
  ...{ host: `${name}.example.com`, port: 5432, database: 'shop', user: 'sync' },
  ...{ secret: `local:k3v9x0qa7m-${name}`, tls: 'verify-full' },
});
const pair = {
  ...{ id: 'k3v9x0qa7m', name: 'shop', pool: 'default', arbiter: 'b', shards: 1 },
  sides: { a: endpoint('a'), b: endpoint('b') },
  ...{ createdAt: at, deleting: false },
  tasks: { forward: task('forward'), reverse: task('reverse') },
};
const report = {
  ...{ at, milliseconds: 412, configVersion: 1, tables: 12, successRate: 97.4, ready: false },
  items: [
    {
      ...{ item: 'wal-level', title: 'wal_level of the source is logical', status: 'failed' },
      ...{ ignorable: false, ignored: false },
      cause: 'wal_level is replica: changes can not be decoded from the WAL.',
      fix: [{ side: 'source', sql: `alter system set wal_level = 'logical';` }],
      details: ['The server must be restarted after it.'],
    },
  ],
  ignored: [{ item: 'long-transactions', by: 'alice', at }],
};
const conflict = {
  ...{ id: '17', at, position: '00000000016B3748.00000003', kind: 'insert_exists', suspectedKind: null },
  ...{ policy: 'last-write-wins', result: 'overwritten', schema: 'public', table: 'item' },
  ...{ constraint: 'item_pkey', firstPosition: null, sourceTime: at, destinationTime: at },
  ...{ sourceSide: 'a', destinationSide: 'b', sourceHash: null, destinationHash: null },
  ...{ key: { id: '4' }, sourceRow: { id: '4', name: 'x' }, destinationRow: { id: '4', name: 'y' } },
};

export const examples = {
  health: { status: 'ok' },
  history: { points: [{ at, latencySeconds: 0.2, rowsPerSecond: 1250.5, bytesPerSecond: 312_000 }] },
  whoami: { name: 'ci', role: 'operator' },
  pair,
  pairList: { pairs: [pair], next: 'k3v9x0qa7m' },
  task: detail('forward'),
  bothTasks: { forward: detail('forward'), reverse: detail('reverse') },
  limits,
  report,
  reports: { forward: report },
  connectivity: {
    source: { ok: true, milliseconds: 21, serverVersion: '18.1', encrypted: true },
    destination: { ok: true, milliseconds: 34, serverVersion: '17.4', encrypted: true },
  },
  objects: {
    forward: {
      count: 1,
      tables: [
        {
          source: { schema: 'shop', name: 'orders' },
          destination: { schema: 'archive', name: 'old_orders' },
          columns: [{ source: 'id', destination: 'id' }],
        },
      ],
      inverse: [{ schema: 'archive', table: 'old_orders', to: 'orders', toSchema: 'shop' }],
    },
  },
  preview: {
    request: { method: 'POST', path: '/v1/pairs/k3v9x0qa7m/configure', body: { forward: config } },
    forward: { tables: [{ schema: 'public', name: 'item' }], count: 1 },
  },
  actionPreview: {
    ...{ method: 'POST', path: '/v1/pairs/k3v9x0qa7m/tasks/forward/pause' },
    headers: { 'if-match': '"7"' },
    curl: `curl -X POST "$PGTWIN_API/v1/pairs/k3v9x0qa7m/tasks/forward/pause" -H "authorization: Bearer $PGTWIN_TOKEN" -H 'if-match: "7"'`,
    ...{ role: 'operator', allowed: true },
  },
  catalogList: {
    tables: [
      {
        ...{
          schema: 'public',
          name: 'item',
          kind: 'ordinary',
          rowsEstimated: 1_200_000,
          sizeBytes: 98_000_000,
        },
        ...{ key: ['id'], columns: [{ name: 'id', type: 'bigint', notNull: true }] },
      },
    ],
    next: 'WyJwdWJsaWMiLCJpdGVtIl0',
  },
  copyList: {
    tables: [
      {
        ...{ schema: 'public', name: 'item', state: 'copying', rowsEstimated: 1_200_000, rowsDone: 500_000 },
        ...{ bytesEstimated: 98_000_000, percent: 41.7 },
      },
    ],
  },
  eventList: { events: [event] },
  conflictList: { conflicts: [conflict], next: '17' },
  conflict: { ...conflict, result: 'stopped', offers: ['take-source', 'keep-destination', 'retry'] },
  auditList: {
    entries: [
      {
        ...{ at, actor: 'alice', role: 'operator', operation: 'pauseTask', status: 202 },
        ...{ pair: 'k3v9x0qa7m', direction: 'forward' },
      },
    ],
    next: `${at}#5f0c1a2b`,
  },
  problem: {
    type: 'https://pgtwin.dev/problems/invalid-request',
    ...{ title: 'Invalid request', status: 422 },
    detail: 'sides.a.port: Too big: expected number to be <=65535.',
    advice: 'Correct the named field and send the request again.',
    field: 'sides.a.port',
    errors: [{ field: 'sides.a.port', message: 'Too big: expected number to be <=65535' }],
  },
} as const;
