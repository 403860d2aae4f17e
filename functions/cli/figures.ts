/** `share` of 0 to 1, drawn. */
export function bar(share: number, width = 24): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width);
  return `[${'#'.repeat(full)}${'.'.repeat(width - full)}]`;
}

const steps = '▁▂▃▄▅▆▇█';

/** The last values as a line of small bars; what is not known is a gap. */
export function spark(values: readonly (number | null)[], width = 30): string {
  const shown = values.slice(-width);
  const most = Math.max(...shown.map((value) => value ?? 0), Number.MIN_VALUE);
  return shown
    .map((value) =>
      value === null ? ' ' : steps[Math.min(steps.length - 1, Math.floor((value / most) * steps.length))],
    )
    .join('');
}

/** Columns as wide as their widest cell; the last one ends where it ends. */
export function tableLines(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [head, ...rows];
  const widths = head.map((_title, n) => Math.max(...all.map((row) => row[n]?.length ?? 0)));
  return all.map((row) =>
    row
      .map((cell, n) => (n === row.length - 1 ? cell : cell.padEnd(widths[n] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
