/** The part of JSON Schema that the API's own description uses. */
export type JsonSchema = {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly oneOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
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
  | 'variants'
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
    const variants = found.oneOf ?? found.anyOf;
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
      ...(variants ? { oneOf: variants.map((variant) => resolve(variant, depth + 1)) } : {}),
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
  if (variantsOf(schema)) return 'variants';
  if (choices) return 'choice';
  if (type === 'boolean') return 'boolean';
  if (type === 'integer' || type === 'number') return 'number';
  if (type === 'string') return (maxLength ?? 0) > LONG_TEXT ? 'long-text' : 'text';
  if (type === 'object' && properties) return 'object';
  if (type === 'array' && items) {
    const inner = shapeOf(items);
    if (inner === 'object' || inner === 'variants') return 'list';
    if (inner === 'text') return 'words';
  }
  return 'json';
}

export type Variants = {
  /** The field that tells them apart. */
  readonly by: string;
  readonly byValue: ReadonlyMap<string, JsonSchema>;
};

/** Objects of several kinds, each told by a word of its own in one field; undefined for anything else. */
export function variantsOf({ oneOf = [] }: JsonSchema): Variants | undefined {
  const wordOf = (schema: JsonSchema, name: string): string | undefined => {
    const field = schema.properties?.[name];
    const word = field?.const ?? (field?.enum?.length === 1 ? field.enum[0] : undefined);
    return typeof word === 'string' ? word : undefined;
  };
  const names = Object.keys(oneOf[0]?.properties ?? {});
  const by = names.find((name) => oneOf.every((schema) => wordOf(schema, name) !== undefined));
  if (by === undefined) return undefined;
  return { by, byValue: new Map(oneOf.map((schema) => [wordOf(schema, by)!, schema])) };
}

/** What a new entry of a list begins as. */
export function emptyOf(schema: JsonSchema): unknown {
  if (schema.default !== undefined) return schema.default;
  const variants = variantsOf(schema);
  if (variants) {
    const [word, first] = [...variants.byValue][0]!;
    return { ...(emptyOf(first) as object), [variants.by]: word };
  }
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
