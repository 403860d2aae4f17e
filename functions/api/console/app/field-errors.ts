import type { Problem } from '../../../../shared/client/problem.ts';
import { asPgtwinError } from '../../../../shared/errors/pgtwin-error.ts';

export type FieldError = { readonly field: string; readonly message: string };

/** What the API says of the fields of a request. */
export type FieldErrors = {
  readonly all: readonly FieldError[];
  /** Of this field itself, or of a part of it that has no input of its own. */
  of(path: string): string | undefined;
  /** The same, with paths that go on behind `prefix`. */
  under(prefix: string): FieldErrors;
};

/** The fields that a problem document names; none if it names none. */
export function fieldErrorsOf(thrown: unknown): FieldErrors {
  if (thrown === undefined) return errorsOf([]);
  const { cause, facts, message } = asPgtwinError(thrown);
  const { errors } = (cause ?? {}) as Partial<Problem>;
  if (errors && errors.length > 0) return errorsOf(errors);
  return errorsOf(facts.field ? [{ field: facts.field, message }] : []);
}

const errorsOf = (all: readonly FieldError[]): FieldErrors => ({
  all,
  of: (path) => {
    const found = all.filter(({ field }) => field === path);
    return found.length > 0 ? found.map(({ message }) => message).join('; ') : undefined;
  },
  under: (prefix) =>
    errorsOf(
      all
        .filter(({ field }) => field.startsWith(`${prefix}.`))
        .map(({ field, message }) => ({ field: field.slice(prefix.length + 1), message })),
    ),
});
