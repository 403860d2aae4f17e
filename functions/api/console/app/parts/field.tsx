import type { ComponentChildren, JSX } from 'preact';
import { useId } from 'preact/hooks';
import type { FieldErrors } from '../field-errors.ts';

type Described = {
  readonly label: string;
  readonly hint?: ComponentChildren;
  /** Path of the field in the request; what the API says of it is shown here. */
  readonly path?: string;
  readonly errors?: FieldErrors | undefined;
  /** What is known to be wrong with it before the API is asked. */
  readonly error?: string | undefined;
};

type Ids = {
  readonly id: string;
  readonly 'aria-describedby': string | undefined;
  readonly 'aria-invalid': 'true' | undefined;
};

/** A label, what it labels, a hint, and what is wrong with it. */
export function Field({
  label,
  hint,
  path,
  errors,
  error,
  children,
}: Described & { children: (ids: Ids) => ComponentChildren }): JSX.Element {
  const id = useId();
  const wrong = error ?? (path === undefined ? undefined : errors?.of(path));
  const described = [...(hint ? [`${id}-hint`] : []), ...(wrong ? [`${id}-error`] : [])].join(' ');
  return (
    <div class={`field${wrong ? ' wrong' : ''}`}>
      <label for={id}>{label}</label>
      {children({
        id,
        'aria-describedby': described || undefined,
        'aria-invalid': wrong ? 'true' : undefined,
      })}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {wrong && (
        <p class="field-error" id={`${id}-error`}>
          {wrong}
        </p>
      )}
    </div>
  );
}

type TextProps = Described & {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly type?: 'text' | 'password' | 'search' | 'number' | 'datetime-local';
  readonly required?: boolean;
  readonly placeholder?: string;
  readonly autocomplete?: string;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly mono?: boolean;
};

export function TextField({
  value,
  onChange,
  type = 'text',
  required,
  placeholder,
  autocomplete = 'off',
  min,
  max,
  mono,
  ...field
}: TextProps): JSX.Element {
  return (
    <Field {...field}>
      {(ids) => (
        <input
          {...ids}
          {...(min === undefined ? {} : { min })}
          {...(max === undefined ? {} : { max })}
          class={mono ? 'mono' : undefined}
          // Each type has a type of its own there; all take what is given here.
          type={type as 'text'}
          value={value}
          required={required}
          placeholder={placeholder}
          autocomplete={autocomplete}
          spellcheck={false}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

export function TextArea({
  value,
  onChange,
  rows = 8,
  ...field
}: Described & { value: string; onChange: (value: string) => void; rows?: number }): JSX.Element {
  return (
    <Field {...field}>
      {(ids) => (
        <textarea
          {...ids}
          class="mono"
          rows={rows}
          value={value}
          spellcheck={false}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

type Option = { readonly value: string; readonly text: string };

export function SelectField({
  value,
  onChange,
  options,
  ...field
}: Described & {
  value: string;
  onChange: (value: string) => void;
  options: readonly Option[];
}): JSX.Element {
  return (
    <Field {...field}>
      {(ids) => (
        <select {...ids} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
          {options.map((option) => (
            <option key={option.value} value={option.value} selected={option.value === value}>
              {option.text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export function CheckField({
  label,
  hint,
  value,
  onChange,
  path,
  errors,
}: Described & { value: boolean; onChange: (value: boolean) => void }): JSX.Element {
  const id = useId();
  const wrong = path === undefined ? undefined : errors?.of(path);
  return (
    <div class={`check${wrong ? ' wrong' : ''}`}>
      <input
        id={id}
        type="checkbox"
        checked={value}
        aria-describedby={hint || wrong ? `${id}-hint` : undefined}
        aria-invalid={wrong ? 'true' : undefined}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <label for={id}>{label}</label>
      {(hint || wrong) && (
        <p class={wrong ? 'field-error' : 'hint'} id={`${id}-hint`}>
          {wrong ?? hint}
        </p>
      )}
    </div>
  );
}
