import { z } from 'zod';

/** What is told about: that a task is Failed, and that its latency is over its threshold. */
export const alertKinds = ['failure', 'latency'] as const;
export type AlertKind = (typeof alertKinds)[number];
export const targets = ['topic', 'webhook'] as const;
export type AlertTarget = (typeof targets)[number];

/** One thing to tell one target; it stays until the target has taken it, or it is too old to be of use. */
const notice = z.strictObject({
  id: z.string().describe('the same in every try: receivers know doubles by it'),
  kind: z.enum(alertKinds),
  event: z.enum(['raised', 'recovered']),
  target: z.enum(targets),
  at: z.string(),
  facts: z.record(z.string(), z.unknown()),
  attempts: z.number().int(),
  nextAt: z.string(),
});
export type Notice = z.infer<typeof notice>;

/** Kept in the table beside the task, so that neither a restart nor a second monitor tells anything twice. */
export const alertState = z.strictObject({
  v: z.literal(1),
  open: z.partialRecord(z.enum(alertKinds), z.strictObject({ since: z.string() })),
  outbox: z.array(notice),
});
export type AlertState = z.infer<typeof alertState>;
export const noAlerts: AlertState = { v: 1, open: {}, outbox: [] };

/** Whether a trouble is there, with what there is to say of it; undefined: not to be told now, so all stays as it is. */
export type Condition = { readonly there: boolean; readonly facts: Readonly<Record<string, unknown>> };
export type Conditions = Readonly<Partial<Record<AlertKind, Condition | undefined>>>;

/** The state after a look at the task: a trouble that begins or ends is told to every target, once. */
export function looked(
  state: AlertState,
  conditions: Conditions,
  to: readonly AlertTarget[],
  { now, newId }: { readonly now: Date; readonly newId: () => string },
): AlertState {
  const at = now.toISOString();
  const open = { ...state.open };
  const outbox = [...state.outbox];
  for (const kind of alertKinds) {
    const condition = conditions[kind];
    if (!condition || condition.there === (open[kind] !== undefined)) continue;
    const event = condition.there ? 'raised' : 'recovered';
    const facts = { ...condition.facts, ...(event === 'recovered' ? { since: open[kind]?.since } : {}) };
    if (condition.there) open[kind] = { since: at };
    else delete open[kind];
    for (const target of to)
      outbox.push({ id: newId(), kind, event, target, at, facts, attempts: 0, nextAt: at });
  }
  return { v: 1, open, outbox };
}

const MINUTE_MS = 60_000;
const LONGEST_MS = 60 * MINUTE_MS;
const GIVEN_UP_AFTER_MS = 24 * 60 * MINUTE_MS;

/** The first notice of each target, if it is due: what is told later must not arrive earlier. */
export const dueOf = (state: AlertState, now: Date): Notice[] =>
  targets.flatMap((target) => {
    const first = state.outbox.find((each) => each.target === target);
    return first && Date.parse(first.nextAt) <= now.getTime() ? [first] : [];
  });

/** The state with a notice marked as being tried now: whoever stores this first is the one who tries. */
export const tried = (state: AlertState, id: string, now: Date): AlertState => ({
  ...state,
  outbox: state.outbox.map((each) =>
    each.id === id
      ? {
          ...each,
          attempts: each.attempts + 1,
          nextAt: new Date(now.getTime() + backoffMs(each.attempts)).toISOString(),
        }
      : each,
  ),
});

/** One minute, doubling up to an hour. */
export const backoffMs = (attempts: number): number =>
  Math.min(LONGEST_MS, MINUTE_MS * 2 ** Math.min(attempts, 10));

export const told = (state: AlertState, id: string): AlertState => ({
  ...state,
  outbox: state.outbox.filter((each) => each.id !== id),
});

/** Notices that nobody has taken for a day. */
export const hopeless = (state: AlertState, now: Date): Notice[] =>
  state.outbox.filter((each) => now.getTime() - Date.parse(each.at) > GIVEN_UP_AFTER_MS);
