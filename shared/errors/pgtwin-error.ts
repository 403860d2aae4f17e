import { type ErrorCode, type ErrorRule, errors } from './table.ts';

/** Facts for the operator; never passwords, row values or keys of rows. */
export type ErrorFacts = Readonly<Record<string, string | number | boolean | null | undefined>> & {
  /** One sentence that says what is wrong here, for a person. */
  readonly detail?: string;
  /** The request field the error is about, as a path like `sides.a.host`. */
  readonly field?: string;
};

/** The one error class: a code of the table, facts, and the cause (for the log only, never for an API answer). */
export class PgtwinError extends Error {
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;

  constructor(code: ErrorCode, facts: ErrorFacts = {}, options: { cause?: unknown } = {}) {
    super(facts.detail ?? `${code}: ${errors[code].advice}`, options);
    this.name = 'PgtwinError';
    this.code = code;
    this.facts = facts;
  }

  get rule(): ErrorRule {
    return errors[this.code];
  }
}

/** Anything thrown, as a PgtwinError; what is unknown becomes `internal` with the cause attached. */
export const asPgtwinError = (error: unknown): PgtwinError =>
  error instanceof PgtwinError
    ? error
    : new PgtwinError(
        'internal',
        { detail: error instanceof Error ? error.message : String(error) },
        { cause: error },
      );

/** A broken invariant of ours: stops the work with `internal`. */
export function assert(condition: unknown, why: string): asserts condition {
  if (!condition) throw new PgtwinError('internal', { detail: `broken invariant: ${why}` });
}
