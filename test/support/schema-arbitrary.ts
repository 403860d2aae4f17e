import fc, { type Arbitrary } from 'fast-check';

/** As much of JSON Schema as the description of the API uses. */
export type Schema = {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
};

/** Values that are at home nowhere: the edges of what JSON and HTTP can carry. */
export const junk: Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    ...[
      null,
      true,
      0,
      -1,
      1.5,
      1e308,
      2 ** 53,
      '',
      ' ',
      '\0',
      '\u{1F9EA}',
      "'; drop table x; --",
      '*',
      '../..',
    ],
    ...['9'.repeat(30), 'x'.repeat(5000), [], {}, [[[[]]]], { constructor: 1 }, { toString: null }],
  ),
  fc.jsonValue({ maxDepth: 2 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
);

/** Values that fit a schema, mostly. */
export function fitting(schema: Schema, resolve: (ref: string) => Schema, depth = 0): Arbitrary<unknown> {
  if (schema.$ref) return fitting(resolve(schema.$ref), resolve, depth);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if ('const' in schema) return fc.constant(schema.const);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return fc.oneof(...choices.map((choice) => fitting(choice, resolve, depth + 1)));
  const types = Array.isArray(schema.type) ? (schema.type as string[]) : [schema.type as string | undefined];
  return fc.oneof(...types.map((type) => ofType(type, schema, resolve, depth)));
}

function ofType(
  type: string | undefined,
  schema: Schema,
  resolve: (ref: string) => Schema,
  depth: number,
): Arbitrary<unknown> {
  const { minimum = -1000, maximum = 1e6 } = schema;
  switch (type) {
    case 'null':
      return fc.constant(null);
    case 'boolean':
      return fc.boolean();
    case 'integer':
      return fc.integer({ min: Math.max(minimum, -(2 ** 31)), max: Math.min(maximum, 2 ** 31 - 1) });
    case 'number':
      return fc.double({ min: minimum, max: maximum, noNaN: true });
    case 'string':
      return ofString(schema);
    case 'array':
      return fc.array(fitting(schema.items ?? {}, resolve, depth + 1), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.max(schema.minItems ?? 0, 3),
      });
    case 'object': {
      const properties = Object.entries(schema.properties ?? {});
      const model = Object.fromEntries(
        properties.map(([name, each]) => [name, fitting(each, resolve, depth + 1)]),
      );
      return fc.record(model, { requiredKeys: (schema.required ?? []).filter((name) => name in model) });
    }
    default:
      return junk;
  }
}

const ofString = ({ pattern, minLength = 0, maxLength = 40 }: Schema): Arbitrary<string> =>
  pattern && !/\(\?[!=<]/.test(pattern)
    ? fc.stringMatching(new RegExp(pattern))
    : fc.string({ minLength, maxLength: Math.max(minLength, Math.min(maxLength, 40)) });

/** The same value with one thing in it wrong: replaced, left out, or added. */
export function broken(value: unknown): Arbitrary<unknown> {
  if (typeof value !== 'object' || value === null) return junk;
  const keys = Object.keys(value);
  const replaced = keys.map((key) =>
    fc
      .oneof(junk, broken((value as Record<string, unknown>)[key]))
      .map((part) => (Array.isArray(value) ? value.with(Number(key), part) : { ...value, [key]: part })),
  );
  const dropped = Array.isArray(value)
    ? []
    : keys.map((key) => fc.constant(Object.fromEntries(Object.entries(value).filter(([k]) => k !== key))));
  const added = junk.map((part) => (Array.isArray(value) ? [...value, part] : { ...value, stranger: part }));
  return fc.oneof(junk, added, ...replaced, ...dropped);
}
