import type { Configure, ConfigureBoth } from '../../shared/client/client.ts';
import { type Entry, parseEntry } from '../../shared/client/entry.ts';
import type { Direction } from '../../shared/task/schema.ts';
import { usageError, type Values } from './command.ts';
import type { Io } from './io.ts';
import { readJson } from './sides.ts';

export const configurationOptions = {
  file: { type: 'string', value: 'FILE', help: 'JSON as the API takes it; - is the standard input' },
  all: { type: 'boolean', help: 'every table' },
  include: {
    type: 'string',
    value: 'NAME',
    multiple: true,
    help: 'schema, schema.table, or a pattern such as "shop.order*"',
  },
  exclude: { type: 'string', value: 'NAME', multiple: true, help: 'leave these out' },
  'reverse-include': {
    type: 'string',
    value: 'NAME',
    multiple: true,
    help: 'other objects for the reverse task',
  },
  'reverse-exclude': {
    type: 'string',
    value: 'NAME',
    multiple: true,
    help: 'leave these out of the reverse task',
  },
  'forward-only': { type: 'boolean', help: 'leave the reverse task for later' },
  policy: {
    type: 'string',
    value: 'POLICY',
    help: 'who wins a conflict, such as overwrite or last-write-wins',
  },
  'conflicting-tables': {
    type: 'string',
    choices: ['precheck', 'ignore'],
    help: 'what to do with tables that the destination has',
  },
  'no-schema': { type: 'boolean', help: 'do not copy the schema' },
  'no-full': { type: 'boolean', help: 'do not copy the rows that are there' },
  set: {
    type: 'string',
    value: 'FIELD=VALUE',
    multiple: true,
    help: 'any field of the configuration; VALUE is JSON or text',
  },
} as const;
type Given = Values<typeof configurationOptions>;

export type Configuration =
  | { readonly direction: Direction; readonly config: Configure }
  | { readonly direction?: never; readonly both: ConfigureBoth };

/** The configuration that the options are: of one task, or of both. */
export async function readConfiguration(
  given: Given,
  task: Direction | undefined,
  io: Pick<Io, 'readFile'>,
): Promise<Configuration> {
  const fields = fieldsOf(given);
  if (given.file !== undefined) {
    const selecting = (['all', 'include', 'exclude', 'reverse-include', 'reverse-exclude'] as const).find(
      (name) => given[name] !== undefined,
    );
    if (selecting) throw usageError(`--${selecting} and --file exclude each other`);
    return ofFile(await readJson(io, given.file), task, {
      fields,
      forwardOnly: given['forward-only'] ?? false,
    });
  }
  const objects = selectionOf(given.all, given.include, given.exclude);
  const own = given['reverse-include'] ?? given['reverse-exclude'];
  if (task) {
    if (own) throw usageError('--reverse-include and --reverse-exclude are for both tasks at once');
    return { direction: task, config: withFields({ objects }, fields) };
  }
  const forward = withFields({ objects }, fields);
  if (given['forward-only']) return { both: { forward } };
  const reverse = own
    ? selectionOf(
        given['reverse-include'] ? false : given.all,
        given['reverse-include'] ?? given.include,
        given['reverse-exclude'],
      )
    : objects;
  return { both: { forward, reverse: { ...withFields({ objects: reverse }, fields), autoStart: true } } };
}

function ofFile(
  file: Record<string, unknown>,
  task: Direction | undefined,
  { fields, forwardOnly }: { readonly fields: Fields; readonly forwardOnly: boolean },
): Configuration {
  const isBoth = 'forward' in file;
  if (task && isBoth)
    throw usageError(`--file holds both tasks; leave --task out, or give ${task}'s own object`);
  if (!task && !isBoth) throw usageError('--file must hold {"forward": …, "reverse": …}; or say --task');
  // The API checks what it is.
  if (task) return { direction: task, config: withFields(file as Configure, fields) };
  const { forward, reverse, ...rest } = file as ConfigureBoth;
  const other = reverse && !forwardOnly ? { reverse: withFields(reverse, fields) } : {};
  return { both: { ...rest, forward: withFields(forward, fields), ...other } };
}

type Selection = Configure['objects'];

function selectionOf(
  all: boolean | undefined,
  include: readonly string[] | undefined,
  exclude: readonly string[] | undefined,
): Selection {
  if (!all && !include) throw usageError('say which tables: --all, --include NAME, or --file FILE');
  if (all && include) throw usageError('--all and --include exclude each other');
  return {
    include: all ? [{ schema: '*' }] : include!.map((name) => entryOf(name, '--include')),
    ...(exclude ? { exclude: exclude.map((name) => entryOf(name, '--exclude')) } : {}),
  };
}

/** Names of tables as a command line has them. */
export function entryOf(text: string, option: string): Entry {
  const entry = parseEntry(text);
  if (!entry) throw usageError(`${option} must be like shop, shop.orders, "shop.*" or '"a.b"."c d"'`);
  return entry;
}

type Fields = readonly { readonly path: readonly string[]; readonly value: unknown }[];

function fieldsOf(given: Given): Fields {
  const set = (given.set ?? []).map((text) => {
    const found = /^([A-Za-z]\w*(?:[.][A-Za-z]\w*)*)=(.*)$/s.exec(text);
    if (!found) throw usageError('--set must be like conflictPolicy=overwrite or types.full=false');
    return { path: found[1]!.split('.'), value: jsonOrText(found[2]!) };
  });
  return [
    ...(given.policy === undefined ? [] : [{ path: ['conflictPolicy'], value: given.policy }]),
    ...(given['conflicting-tables']
      ? [{ path: ['conflictingTables'], value: given['conflicting-tables'] }]
      : []),
    ...(given['no-schema'] ? [{ path: ['types', 'schema'], value: false }] : []),
    ...(given['no-full'] ? [{ path: ['types', 'full'], value: false }] : []),
    ...set,
  ];
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A copy with the fields set; objects on the way are made. */
function withFields(config: Configure, fields: Fields): Configure {
  const copy = structuredClone(config) as Record<string, unknown>;
  for (const { path, value } of fields) {
    let at = copy;
    for (const name of path.slice(0, -1)) {
      const inner = Object.hasOwn(at, name) ? at[name] : undefined;
      const next = typeof inner === 'object' && inner !== null ? inner : {};
      at[name] = next;
      at = next as Record<string, unknown>;
    }
    at[path.at(-1)!] = value;
  }
  return copy as Configure;
}
