import type { IgnoredItem, PrecheckItem, PrecheckReport } from '../../../shared/client/precheck-report.ts';

export type Finding = Omit<PrecheckItem, 'ignored'>;

/** Puts findings and what is ignored together. An item that may not be ignored stays as it is. */
export function reportOf(input: {
  readonly at: string;
  readonly milliseconds: number;
  readonly configVersion: number;
  readonly tables: number;
  readonly findings: readonly Finding[];
  readonly ignored: readonly IgnoredItem[];
}): PrecheckReport {
  const { findings, ignored, ...facts } = input;
  const names = new Set(ignored.map(({ item }) => item));
  const items = findings.map((finding) => ({
    ...finding,
    ignored: finding.status !== 'passed' && finding.ignorable && names.has(finding.item),
  }));
  const good = items.filter((item) => item.status === 'passed' || item.ignored).length;
  const ready = items.length > 0 && good === items.length;
  // Rounded down, so that 100 is said only when all is good.
  const successRate = items.length === 0 ? 0 : Math.floor((good * 1000) / items.length) / 10;
  return { ...facts, successRate, ready, items, ignored: [...ignored] };
}

/** What the report's items found, without what was ignored. */
export const findingsOf = (report: PrecheckReport): Finding[] =>
  report.items.map(({ ignored: _ignored, ...finding }) => finding);
