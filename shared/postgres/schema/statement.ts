import type { ObjectName } from './model.ts';

/** In the order in which they run; rows are copied between `primaryKeys` and `indexes`. */
export const phases = ['before', 'primaryKeys', 'indexes', 'foreignKeys', 'after'] as const;
export type Phase = (typeof phases)[number];

export type Statement = {
  readonly sql: string;
  readonly object: ObjectName & { readonly kind: string };
  readonly phase: Phase;
};
export type SchemaPlan = { readonly [P in Phase]: readonly Statement[] };

/** Adds a statement to a phase; used by the parts of the plan. */
export type Emit = (phase: Phase, object: Statement['object'], sql: string) => void;
