import { styleText } from 'node:util';
import { type Direction, destinationOf, directions, sourceOf } from '../task/schema.ts';
import type { PrecheckReports } from './client.ts';
import type { PrecheckItem, PrecheckReport } from './precheck-report.ts';

export type Paint = (colour: 'green' | 'yellow' | 'red' | 'bold' | 'dim' | 'cyan', text: string) => string;
type Options = {
  /** Items that passed and details of alerts too. */
  readonly all?: boolean;
  readonly paint?: Paint;
};

/** One line a task, then its items as a table: what was found and, below what FAILED, the SQL that mends it. */
export const precheckLines = (reports: PrecheckReports, options: Options = {}): string[] =>
  directions.flatMap((direction) => {
    const report = reports[direction];
    return report ? taskLines(direction, report, options) : [];
  });

function taskLines(direction: Direction, report: PrecheckReport, options: Options): string[] {
  const { items, tables, ready } = report;
  const { all = false, paint = styleText } = options;
  const passed = items.filter(({ status }) => status === 'passed').length;
  const mark = ready ? paint('green', 'ready') : paint('red', 'not ready');
  const shown = all ? items : items.filter(({ status }) => status !== 'passed');
  const width = Math.max(0, ...shown.map(({ item }) => item.length));
  const way = `${sourceOf(direction)} -> ${destinationOf(direction)}`;
  const head = `${direction.padEnd(8)} ${way}   ${passed} of ${items.length} items passed, ${tables} tables: ${mark}`;
  return [head, ...shown.flatMap((item) => itemLines(direction, item, { all, paint, width }))];
}

const labels = { passed: ['ok', 'green'], alert: ['note', 'yellow'], failed: ['FAILED', 'red'] } as const;
const indent = ' '.repeat(9);

function itemLines(
  direction: Direction,
  item: PrecheckItem,
  { all, paint, width }: Required<Options> & { readonly width: number },
): string[] {
  const { item: name, status, ignored, ignorable, cause, details, fix } = item;
  const [label, colour] = ignored ? (['ignored', 'yellow'] as const) : labels[status];
  const named = all ? name.padEnd(width + 1) : `${name}:`;
  const head = `  ${paint(colour, label.padEnd(all ? 7 : 6))} ${named} ${cause}`;
  if (status === 'passed' || (status === 'alert' && !all)) return [head];
  const side = { source: sourceOf(direction), destination: destinationOf(direction) };
  return [
    head,
    ...details.map((detail) => `${indent}${detail}`),
    ...fix.map((each) => `${indent}on side ${side[each.side]}: ${paint('cyan', each.sql)}`),
    ...(ignorable && !ignored ? [`${indent}or ignore the item "${name}"`] : []),
  ];
}
