/** The part of JSON Schema that the API's own description uses. */
export type JsonSchema = {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly enum?: readonly string[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
};
type OpenApi = { readonly components?: { readonly schemas?: Readonly<Record<string, JsonSchema>> } };

/** How a field is asked for; `json` where it has no simple form. */
export type Shape =
  | 'boolean'
  | 'choice'
  | 'number'
  | 'text'
  | 'long-text'
  | 'object'
  | 'list'
  | 'words'
  | 'json';

const LONG_TEXT = 1000;

/** A named schema of the API's description, with what its own parts refer to filled in. */
export function schemaNamed(document: unknown, name: string): JsonSchema {
  const schemas = (document as OpenApi).components?.schemas ?? {};
  const resolve = (schema: JsonSchema, depth: number): JsonSchema => {
    const named = schema.$ref?.split('/').at(-1);
    const found = named === undefined ? schema : (schemas[named] ?? {});
    if (depth > 8) return found;
    const { properties, items } = found;
    return {
      ...found,
      ...(properties
        ? {
            properties: Object.fromEntries(
              Object.entries(properties).map(([key, part]) => [key, resolve(part, depth + 1)]),
            ),
          }
        : {}),
      ...(items ? { items: resolve(items, depth + 1) } : {}),
    };
  };
  return resolve(schemas[name] ?? {}, 0);
}

/** The type beside null. */
const typeOf = ({ type }: JsonSchema): string | undefined =>
  typeof type === 'string' ? type : type?.find((each) => each !== 'null');

export const isNullable = ({ type }: JsonSchema): boolean => Array.isArray(type) && type.includes('null');

export function shapeOf(schema: JsonSchema): Shape {
  const { enum: choices, properties, items, maxLength } = schema;
  const type = typeOf(schema);
  if (choices) return 'choice';
  if (type === 'boolean') return 'boolean';
  if (type === 'integer' || type === 'number') return 'number';
  if (type === 'string') return (maxLength ?? 0) > LONG_TEXT ? 'long-text' : 'text';
  if (type === 'object' && properties) return 'object';
  if (type === 'array' && items) {
    const inner = shapeOf(items);
    if (inner === 'object') return 'list';
    if (inner === 'text') return 'words';
  }
  return 'json';
}

/** What a new entry of a list begins as. */
export function emptyOf(schema: JsonSchema): unknown {
  if (schema.default !== undefined) return schema.default;
  const shape = shapeOf(schema);
  if (shape === 'object')
    return Object.fromEntries(
      (schema.required ?? []).map((name) => [name, emptyOf(schema.properties?.[name] ?? {})]),
    );
  if (shape === 'list' || shape === 'words') return [];
  if (shape === 'choice') return schema.enum?.[0];
  if (shape === 'boolean') return false;
  if (shape === 'number') return schema.minimum ?? 0;
  return shape === 'json' ? null : '';
}
