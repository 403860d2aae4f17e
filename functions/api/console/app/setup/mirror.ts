import type { ApiClient, Configure } from '../../../../../shared/client/client.ts';
import type { Selection } from './selection.ts';

type Mapping = {
  readonly capitalization?: string;
  readonly rules?: readonly unknown[];
  readonly names?: readonly unknown[];
};

/** True if the destination calls something by another name. */
export function isMapped({ mapping }: Selection): boolean {
  const { capitalization = 'default', rules = [], names = [] } = (mapping ?? {}) as Mapping;
  return !['default', 'source'].includes(capitalization) || rules.length > 0 || names.length > 0;
}

const isUsed = (value: unknown): boolean => Array.isArray(value) && value.length > 0;

/** What a person should know of the way back, in sentences. */
export const mirrorNotes = (objects: Selection): string[] => [
  ...(isMapped(objects)
    ? [
        'Names are led exactly back, table by table: tables that are made later are not picked up by the reverse task.',
      ]
    : []),
  ...(isUsed(objects['etl'])
    ? ['Steps in flight are not taken over: what they make goes one way only.']
    : []),
  ...(isUsed(objects['filters']) ? ['Tables with conditions are decided by each side for itself.'] : []),
];

/**
 * The objects of a reverse task that mirrors a forward one. Without mapping they are the same; with it, the API says
 * which names lead exactly back, and tables are named one by one.
 */
export async function mirrorOf(api: ApiClient, pair: string, objects: Selection): Promise<Selection> {
  const { etl: _, ...same } = objects as Selection & { etl?: unknown };
  if (!isMapped(objects)) return same as Selection;
  const { forward } = await api.previewObjects(pair, {
    forward: { objects: objects as Configure['objects'] },
  });
  const ofTable = ({ schema, name }: { schema: string; name: string }) => ({ schema, table: name });
  return {
    include: forward.tables.map(({ destination }) => ofTable(destination)),
    ...(forward.inverse.length > 0 ? { mapping: { names: forward.inverse } } : {}),
    ...(isUsed(objects['columns'])
      ? {
          columns: forward.tables.map(({ destination, columns }) => ({
            ...ofTable(destination),
            include: columns.map((column) => column.destination),
          })),
        }
      : {}),
  };
}
