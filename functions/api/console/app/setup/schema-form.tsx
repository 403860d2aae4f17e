import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { FieldErrors } from '../field-errors.ts';
import { Button } from '../parts/button.tsx';
import { CheckField, SelectField, TextArea, TextField } from '../parts/field.tsx';

import { wordsOfName } from '../words.ts';
import { emptyOf, isNullable, type JsonSchema, shapeOf, variantsOf } from './json-schema.ts';
import { labelOf, sentenceOf } from './labels.ts';

type Props = {
  readonly name: string;
  readonly schema: JsonSchema;
  readonly value: unknown;
  /** Undefined takes the field back: its default counts. */
  readonly onChange: (value: unknown) => void;
  /** Where the field is in its task's configuration. */
  readonly path: string;
  readonly errors: FieldErrors;
};

/** The input of one field of the configuration, made from the API's own description of it. */
export function SchemaField(props: Props): JSX.Element {
  const { name, schema, value, onChange, path, errors } = props;
  const label = labelOf(path, name);
  const hint = schema.description && sentenceOf(schema.description);
  const common = { label, path, errors, ...(hint ? { hint } : {}) };
  const shape = shapeOf(schema);
  const shown = value === undefined ? schema.default : value;
  switch (shape) {
    case 'boolean':
      return <CheckField {...common} value={shown === true} onChange={onChange} />;
    case 'choice': {
      const options = (schema.enum ?? []).map((each) => ({ value: each, text: each }));
      const unset = schema.default === undefined ? [{ value: '', text: 'As the task' }] : [];
      return (
        <SelectField
          {...common}
          value={String(shown ?? '')}
          options={[...unset, ...options]}
          onChange={(text) => onChange(text === '' ? undefined : text)}
        />
      );
    }
    case 'number':
      return (
        <TextField
          {...common}
          type="number"
          min={schema.minimum}
          max={schema.maximum}
          value={shown === undefined || shown === null ? '' : String(shown)}
          onChange={(text) => onChange(text !== '' ? Number(text) : isNullable(schema) ? null : undefined)}
        />
      );
    case 'text':
      return (
        <TextField
          {...common}
          value={String(shown ?? '')}
          onChange={(text) => onChange(text === '' ? undefined : text)}
        />
      );
    case 'long-text':
      return (
        <TextArea
          {...common}
          value={String(shown ?? '')}
          onChange={(text) => onChange(text === '' ? undefined : text)}
        />
      );
    case 'words':
      return (
        <TextField
          {...common}
          value={Array.isArray(shown) ? shown.join(', ') : ''}
          hint={hint ?? 'Separated by commas.'}
          onChange={(text) =>
            onChange(
              text
                .split(',')
                .map((word) => word.trim())
                .filter((word) => word !== ''),
            )
          }
        />
      );
    case 'object':
    case 'variants':
      return <ObjectField {...props} />;
    case 'list':
      return <ListField {...props} />;
    case 'json':
      return <JsonField {...common} value={shown} onChange={onChange} />;
  }
}

const asObject = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

/** A copy with one field set, or taken out. */
export function withField(of: unknown, name: string, value: unknown): Record<string, unknown> {
  const { [name]: _old, ...rest } = asObject(of);
  return value === undefined ? rest : { ...rest, [name]: value };
}

function ObjectField({ name, schema, value, onChange, path, errors }: Props): JSX.Element {
  const fields = Object.entries(schema.properties ?? {});
  const optional = schema.default === undefined;
  const given = asObject(value ?? (optional ? undefined : schema.default));
  const hasLongText = fields.some(([, field]) => ['long-text', 'list', 'json'].includes(shapeOf(field)));
  const own = errors.of(path);
  return (
    <fieldset class={hasLongText ? 'group wide' : 'group'}>
      <legend>{labelOf(path, name)}</legend>
      {schema.description && <p class="hint">{sentenceOf(schema.description)}</p>}
      {own && <p class="field-error">{own}</p>}
      <EntryFields
        schema={schema}
        value={given}
        path={path}
        errors={errors}
        onChange={(next) => onChange(optional && Object.keys(next).length === 0 ? undefined : next)}
      />
    </fieldset>
  );
}

function ListField({ name, schema, value, onChange, path, errors }: Props): JSX.Element {
  const entries: readonly unknown[] = Array.isArray(value) ? value : [];
  const items = schema.items ?? {};
  const own = errors.of(path);
  const label = labelOf(path, name);
  const change = (next: readonly unknown[]): void => onChange(next.length > 0 ? next : undefined);
  return (
    <fieldset class="group wide">
      <legend>{label}</legend>
      {schema.description && <p class="hint">{sentenceOf(schema.description)}</p>}
      {own && <p class="field-error">{own}</p>}
      {entries.map((entry, n) => (
        // Entries have no names of their own
        <div key={n} class="entry">
          <EntryFields
            schema={items}
            value={entry}
            path={`${path}.${n}`}
            errors={errors}
            onChange={(next) => change(entries.with(n, next))}
          />
          <Button
            kind="quiet"
            onClick={() => change(entries.toSpliced(n, 1))}
            label={`Remove entry ${n + 1} of ${label}`}
          >
            Remove
          </Button>
        </div>
      ))}
      <Button onClick={() => change([...entries, emptyOf(items)])} label={`Add an entry to ${label}`}>
        Add
      </Button>
    </fieldset>
  );
}

type EntryProps = Omit<Props, 'name' | 'onChange'> & {
  readonly onChange: (value: Record<string, unknown>) => void;
};

/** The fields of one object; where there are several kinds of it, the kind first. */
function EntryFields({ schema, value, path, errors, onChange }: EntryProps): JSX.Element {
  const given = asObject(value);
  const variants = variantsOf(schema);
  const kind = variants ? String(given[variants.by] ?? '') : undefined;
  const own = variants && kind !== undefined ? variants.byValue.get(kind) : schema;
  const fields = Object.entries(own?.properties ?? {}).filter(([key]) => key !== variants?.by);
  return (
    <>
      {variants && kind !== undefined && (
        <SelectField
          label={wordsOfName(variants.by)}
          value={kind}
          options={[...variants.byValue.keys()].map((each) => ({ value: each, text: each }))}
          onChange={(next) =>
            onChange({ ...(emptyOf(variants.byValue.get(next) ?? {}) as object), [variants.by]: next })
          }
        />
      )}
      {fields.map(([key, field]) => (
        <SchemaField
          key={key}
          name={key}
          schema={field}
          value={given[key]}
          path={`${path}.${key}`}
          errors={errors}
          onChange={(part) => onChange(withField(given, key, part))}
        />
      ))}
    </>
  );
}

type JsonProps = {
  readonly label: string;
  readonly hint?: string;
  readonly path?: string;
  readonly errors?: FieldErrors;
  readonly value: unknown;
  readonly rows?: number;
  readonly onChange: (value: unknown) => void;
};

/** Anything, as JSON. What is not JSON yet is kept as text, and said so. */
export function JsonField({ label, hint, path, errors, value, rows = 5, onChange }: JsonProps): JSX.Element {
  const outside = value === undefined ? '' : JSON.stringify(value, null, 2);
  const [written, setWritten] = useState<{ text: string; stands: string }>();
  const text = written && written.stands === outside ? written.text : outside;
  const parsed = parse(text);
  return (
    <TextArea
      label={label}
      {...(hint ? { hint } : {})}
      {...(path === undefined ? {} : { path })}
      errors={errors}
      error={parsed.wrong}
      rows={rows}
      value={text}
      onChange={(next) => {
        const read = parse(next);
        const stands = read.wrong
          ? outside
          : read.value === undefined
            ? ''
            : JSON.stringify(read.value, null, 2);
        setWritten({ text: next, stands });
        if (!read.wrong) onChange(read.value);
      }}
    />
  );
}

function parse(text: string): { value?: unknown; wrong?: string } {
  if (text.trim() === '') return {};
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { wrong: `Not JSON yet: ${(error as Error).message}` };
  }
}
