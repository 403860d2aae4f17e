import { type Random, randomOf } from '../model/random.ts';
import type { Side } from './transactions.ts';

/** A fault with its number and time; what it does in detail is decided here, by the seed. */
export type Fault = { readonly number: number; readonly atMs: number } & FaultWork;
export type FaultWork =
  | { readonly kind: 'capture-killed'; readonly awayMs: number }
  | { readonly kind: 'apply-killed'; readonly afterMs: readonly number[] }
  | { readonly kind: 'messages-doubled'; readonly forMs: number }
  | { readonly kind: 'messages-delayed'; readonly forMs: number; readonly byMs: number }
  | { readonly kind: 'messages-lost'; readonly count: number }
  | { readonly kind: 'answers-lost'; readonly count: number }
  | { readonly kind: 'queue-purged'; readonly which: 'forward' | 'reverse' | 'both' }
  | { readonly kind: 'table-refuses'; readonly forMs: number; readonly what: 'all' | 'writes' | 'half' }
  | { readonly kind: 'connections-cut'; readonly side: Side; readonly refuseMs: number }
  | { readonly kind: 'connection-cut-in-data'; readonly side: Side; readonly bytes: number }
  | { readonly kind: 'network-silent'; readonly side: Side; readonly forMs: number }
  | { readonly kind: 'server-restarted'; readonly side: Side; readonly mode: 'immediate' | 'fast' }
  | { readonly kind: 'lease-lost'; readonly stoppedMs: number }
  | { readonly kind: 'task-paused'; readonly direction: 'forward' | 'reverse'; readonly forMs: number };
export type FaultKind = FaultWork['kind'];

/** How the pair of a run is set up, beside what the user chose. */
export type Setup = {
  readonly account: 'superuser' | 'plain';
  readonly arbiter: Side;
  readonly onDeleted: 'restore' | 'stay-deleted' | 'by-time';
  readonly synchronousCommit: boolean;
  readonly missingParent: 'restore-parent' | 'delete-child';
};

/** An account that may not set the role of replicas has foreign keys checked by the server, change by change. */
export const hasForeignKeys = ({ account }: Setup): boolean => account === 'superuser';

export const setupOf = (seed: number): Setup => {
  const random = randomOf(seed * 7 + 3);
  return {
    account: random.chance(0.3) ? 'plain' : 'superuser',
    arbiter: random.chance(0.3) ? 'a' : 'b',
    onDeleted: random.pick(['restore', 'restore', 'stay-deleted', 'by-time']),
    synchronousCommit: random.chance(0.5),
    missingParent: random.chance(0.3) ? 'delete-child' : 'restore-parent',
  };
};

/** The faults of a run: by seed and length alone, about one in two seconds. */
export function scheduleOf(seed: number, seconds: number, most = Number.POSITIVE_INFINITY): Fault[] {
  const random = randomOf(seed * 13 + 1);
  const faults: Fault[] = [];
  for (let atMs = 800 + random.below(1_500); atMs < seconds * 1_000; atMs += 400 + random.below(3_400)) {
    if (faults.length === most) break;
    faults.push({ number: faults.length + 1, atMs, ...workOf(random) });
  }
  return faults;
}

function workOf(random: Random): FaultWork {
  const side = random.pick<Side>(['a', 'b']);
  const direction = random.pick(['forward', 'reverse'] as const);
  const between = (least: number, most: number): number => least + random.below(most - least + 1);
  const works: readonly FaultWork[] = [
    { kind: 'capture-killed', awayMs: between(0, 2_000) },
    { kind: 'apply-killed', afterMs: Array.from({ length: between(1, 6) }, () => random.below(60)) },
    { kind: 'apply-killed', afterMs: Array.from({ length: between(1, 6) }, () => random.below(15)) },
    { kind: 'messages-doubled', forMs: between(500, 3_000) },
    { kind: 'messages-delayed', forMs: between(500, 3_000), byMs: between(20, 900) },
    { kind: 'messages-lost', count: between(1, 4) },
    { kind: 'answers-lost', count: between(1, 4) },
    { kind: 'queue-purged', which: random.pick(['forward', 'reverse', 'both'] as const) },
    {
      kind: 'table-refuses',
      forMs: between(500, 5_000),
      what: random.pick(['all', 'writes', 'half'] as const),
    },
    { kind: 'connections-cut', side, refuseMs: random.chance(0.5) ? 0 : between(100, 2_000) },
    { kind: 'connection-cut-in-data', side, bytes: between(100, 30_000) },
    { kind: 'network-silent', side, forMs: between(200, 3_000) },
    { kind: 'server-restarted', side, mode: random.chance(0.8) ? 'immediate' : 'fast' },
    { kind: 'lease-lost', stoppedMs: between(3_000, 6_000) },
    { kind: 'task-paused', direction, forMs: between(100, 2_500) },
  ];
  return random.pick(works);
}

/** `3 at 4.2 s: server-restarted side=a mode=immediate` */
export function describe({ number, atMs, kind, ...rest }: Fault): string {
  const details = Object.entries(rest).map(([name, value]) => ` ${name}=${String(value)}`);
  return `${number} at ${(atMs / 1_000).toFixed(1)} s: ${kind}${details.join('')}`;
}

/** True if `--faults` names this one. */
export const isChosen = (fault: Fault, only: readonly string[] | undefined): boolean =>
  only === undefined || only.includes(String(fault.number)) || only.includes(fault.kind);
