import { expect, test } from 'vitest';
import { openTestApi, storePair } from '../../test/support/api.ts';

test('the figures of all tasks in Prometheus text format, for those who may read, and nothing secret', async () => {
  const api = openTestApi();
  api.clock.at = new Date('2026-03-01T10:00:10Z');
  const id = await storePair(api);
  await api.repository.putStatus(`${id}_f`, {
    ...{ at: '2026-03-01T10:00:00Z', phase: 'streaming', latencySeconds: 0.25, rowsApplied: 1234 },
    ...{ transactionsApplied: 99, conflicts: 3, conflictsByKind: { insert_exists: 2, 'odd"kind': 1 } },
    ...{ rowsPerSecond: 10.5, bytesPerSecond: 2048, walRetainedBytes: 16_777_216, position: null },
    ...{ copy: null, notes: [], retries: 4 },
  });
  const answer = await api.call('GET', '/metrics', { as: 'viewer' });
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  const labels = `task="${id}_f",pair="${id}",direction="forward"`;
  const lines = answer.text.split('\n');
  for (const line of [
    '# TYPE pgtwin_latency_seconds gauge',
    `pgtwin_latency_seconds{${labels}} 0.25`,
    '# TYPE pgtwin_rows_applied_total counter',
    `pgtwin_rows_applied_total{${labels}} 1234`,
    `pgtwin_conflicts_total{${labels},kind="insert_exists"} 2`,
    `pgtwin_conflicts_total{${labels},kind="odd\\"kind"} 1`,
    `pgtwin_wal_retained_bytes{${labels}} 16777216`,
    `pgtwin_retries_total{${labels}} 4`,
    `pgtwin_status_age_seconds{${labels}} 10`,
    `pgtwin_task_state{task="${id}_r",pair="${id}",direction="reverse",state="NotConfigured"} 1`,
  ])
    expect(lines).toContain(line);
  // Every line is a comment or a sample, every family has its help and type in front of it.
  for (const line of lines.slice(0, -1))
    expect(line).toMatch(
      /^(# (HELP|TYPE) pgtwin_\w+ .+|pgtwin_\w+\{(\w+="([^"\\]|\\.)*",?)+\} -?[\d.e+-]+)$/,
    );
  expect(answer.text).not.toMatch(/example\.com|local:|sync/);
  expect((await api.call('GET', '/metrics', { as: 'nobody' })).status).toBe(401);
});
