import type { JSX } from 'preact';
import type { FieldErrors } from '../field-errors.ts';
import type { JsonSchema } from './json-schema.ts';
import { SchemaField, withField } from './schema-form.tsx';
import type { Selection } from './selection.ts';

/** The picker has these. */
const picked: readonly string[] = ['include', 'exclude'];

type Props = {
  /** Of the whole configuration. */
  readonly schema: JsonSchema;
  readonly selection: Selection;
  readonly errors: FieldErrors;
  readonly onChange: (selection: Selection) => void;
};

/** What of the tables takes part, and how it is called on the other side: as far as the API has fields for it. */
export function ObjectFields({ schema, selection, errors, onChange }: Props): JSX.Element | null {
  const fields = Object.entries(schema.properties?.['objects']?.properties ?? {}).filter(
    ([name]) => !picked.includes(name),
  );
  if (fields.length === 0) return null;
  const used = fields.some(([name]) => selection[name] !== undefined);
  return (
    <details class="setting-group" open={used}>
      <summary>Columns, names, conditions and steps</summary>
      <div class="fields">
        {fields.map(([name, field]) => (
          <SchemaField
            key={name}
            name={name}
            schema={field}
            value={selection[name]}
            path={`objects.${name}`}
            errors={errors}
            onChange={(value) => onChange(withField(selection, name, value) as Selection)}
          />
        ))}
      </div>
    </details>
  );
}
