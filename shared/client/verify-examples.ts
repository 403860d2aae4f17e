/** Examples of answers on verification and cut-over; a test holds each against its schema. */

const at = '2026-03-01T10:00:00.000Z';
const counts = {
  ...{ rowsOnA: 1_200_000, rowsOnB: 1_199_999, buckets: 2_400, bucketsDiffering: 3 },
  ...{ missingOnA: 0, missingOnB: 1, different: 1, extra: 0, rechecked: 12, unsettled: 0 },
};
const item = { schema: 'public', name: 'item' };
const none = {
  ...{ rowsOnA: 0, rowsOnB: 0, buckets: 0, bucketsDiffering: 0 },
  ...{ missingOnA: 0, missingOnB: 0, different: 0, extra: 0, rechecked: 0, unsettled: 0 },
};
const part = { schema: 'public', name: 'visit' };
const verification = {
  ...{ id: '20260301t100000000z5f0c1a', pairId: 'k3v9x0qa7m', status: 'finished', by: 'alice' },
  options: { mode: 'full', samplePercent: 1, rowsPerSecond: 100_000, maxKeys: 1_000 },
  ...{
    startedAt: at,
    updatedAt: at,
    finishedAt: at,
    tables: 1,
    tablesDone: 1,
    tablesFailed: 0,
    tablesSkipped: 1,
  },
  ...{ counts, equal: false },
};

export const verifyExamples = {
  verification,
  verificationList: { verifications: [verification] },
  tableReports: {
    tables: [
      { number: 0, a: item, b: item, way: 'both', counts, seconds: 14.2, keysKept: 2, notes: [] },
      {
        ...{ number: 1, a: part, b: part, way: 'forward', counts: none, seconds: 0, keysKept: 0, notes: [] },
        skipped:
          'Not compared, for its rows may rightly differ: the forward task leaves rows out by a filter.',
      },
    ],
  },
  differenceList: {
    differences: [
      { a: item, b: item, key: ['17'], kind: 'different', columns: ['price'], state: 'open' },
      { a: item, b: item, key: ['18'], kind: 'missing-on-b', columns: [], state: 'repaired', repair: at },
    ],
  },
  cutover: {
    ...{ direction: 'forward', dryRun: true, at, ready: true },
    checks: [
      { check: 'forward-running', ok: true, detail: 'The forward task is Running.' },
      { check: 'reverse-running', ok: true, detail: 'The reverse task is Running.' },
    ],
    sequences: [
      {
        ...{ schema: 'public', name: 'item_id_seq', old: '1', new: '18', source: '17' },
        sql: `select pg_catalog.setval('"public"."item_id_seq"'::pg_catalog.regclass, 18, false) from "public"."item_id_seq" where case when is_called then last_value + (1) else last_value end < 18`,
      },
    ],
    sql: [
      `select pg_catalog.setval('"public"."item_id_seq"'::pg_catalog.regclass, 18, false) from "public"."item_id_seq" where case when is_called then last_value + (1) else last_value end < 18`,
    ],
    states: { forward: 'Running', reverse: 'Running' },
  },
} as const;
