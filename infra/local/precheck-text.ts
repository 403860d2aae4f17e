import { styleText } from 'node:util';
import { type Direction, destinationOf, directions, sourceOf } from '../../shared/task/schema.ts';
import type { Report, ReportItem, Reports } from './pair-setup.ts';

const arrow = { forward: 'a -> b', reverse: 'b -> a' } as const;

/** One line a task, and what did not pass below it. */
export const precheckLines = (reports: Reports): string[] =>
  directions.flatMap((direction) => taskLines(direction, reports[direction]));

function taskLines(direction: Direction, { items, tables, ready }: Report): string[] {
  const passed = items.filter(({ status }) => status === 'passed').length;
  const mark = ready ? styleText('green', 'ready') : styleText('red', 'not ready');
  const open = items.filter(({ status }) => status !== 'passed');
  const head = `${direction.padEnd(8)} ${arrow[direction]}   ${passed} of ${items.length} items passed, ${tables} tables: ${mark}`;
  return [head, ...open.flatMap((item) => itemLines(direction, item))];
}

function itemLines(direction: Direction, item: ReportItem): string[] {
  const colour = item.status === 'alert' ? 'yellow' : 'red';
  const label = item.status === 'alert' ? 'note' : 'FAILED';
  const head = `  ${styleText(colour, label.padEnd(6))} ${item.item}: ${item.cause}`;
  if (item.status === 'alert') return [head];
  const side = { source: sourceOf(direction), destination: destinationOf(direction) };
  return [
    head,
    ...item.details.map((detail) => `         ${detail}`),
    ...item.fix.map((fix) => `         on side ${side[fix.side]}: ${fix.sql}`),
    ...(item.ignorable ? [`         or ignore the item "${item.item}"`] : []),
  ];
}
