import { type PrecheckReport, precheckReport } from '../../../shared/client/precheck-report.ts';
import { PgtwinError } from '../../../shared/errors/pgtwin-error.ts';
import type { Table } from '../../../shared/task/table.ts';

/** DynamoDB takes 400 KB per item; a report over 5,000 tables is cut to fit and says so. */
const LARGEST_REPORT_BYTES = 300_000;

/** The newest report of a task, if there is one. */
export async function getReport(table: Table, taskId: string): Promise<PrecheckReport | undefined> {
  const item = await table.get(taskId, 'precheck');
  if (!item) return undefined;
  const parsed = precheckReport.safeParse(item.body);
  if (!parsed.success)
    throw new PgtwinError('internal', { detail: `The stored precheck of ${taskId} is not readable.` });
  return parsed.data;
}

/** Stores a report; gives it back as it was stored. */
export async function putReport(
  table: Table,
  taskId: string,
  report: PrecheckReport,
): Promise<PrecheckReport> {
  let body = report;
  for (let most = 50; JSON.stringify(body).length > LARGEST_REPORT_BYTES && most > 0; most = most >> 1)
    body = { ...report, items: report.items.map((item) => shortened(item, most)) };
  await table.put({ pk: taskId, sk: 'precheck', version: 1, body }, 'any');
  return body;
}

function shortened<T extends PrecheckReport['items'][number]>(item: T, most: number): T {
  const left = item.details.length - most;
  const details = left > 0 ? [...item.details.slice(0, most), `and ${left} more`] : item.details;
  return { ...item, details, fix: item.fix.slice(0, most) };
}
