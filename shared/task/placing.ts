import { qualified } from '../postgres/ident.ts';
import { mark, type Relation, readTupleStart, tag } from '../postgres/pgoutput.ts';
import { shardOfKey, shardOfTuple } from '../stream/shard.ts';
import type { PreparedTable } from './schema.ts';

/** Where a table's rows go: all to one shard, or by their keys, whose columns are marked. */
export type Place = number | readonly boolean[];

/** A change that concerns more than one shard. */
export const ALL_SHARDS = -1;

/** The shards of a task's tables, the same for the captures of both sides and for apply. */
export type Placing = {
  readonly shards: number;
  readonly of: (source: Relation) => Place;
  /** The shard of a control row: of the key that it names in a table, by the table's quoted name. */
  readonly ofKey: (table: string, key: readonly string[]) => number;
};

export function placingOf(tables: readonly PreparedTable[], shards: number): Placing {
  if (shards === 1) return { shards, of: () => 0, ofKey: () => 0 };
  const known = new Map(tables.map((each) => [qualified(each.schema, each.name), each]));
  return {
    shards,
    of({ schema, name, columns }) {
      const table = known.get(qualified(schema, name));
      if (table?.shard !== 'key') return table?.shard ?? 0;
      const isKey = columns.map((column) => table.key.includes(column.name));
      // What stands behind the key is not looked at.
      return isKey.slice(0, isKey.lastIndexOf(true) + 1);
    },
    ofKey(name, key) {
      const shard = known.get(name)?.shard ?? 0;
      return shard === 'key' ? shardOfKey(key, shards) : shard;
    },
  };
}

/** The shard of an Insert, Update or Delete at `start`, or `ALL_SHARDS` for an update that moves a row to another one. */
export function shardOfChange(b: Buffer, start: number, end: number, place: Place, shards: number): number {
  if (typeof place === 'number') return place;
  const first = start + 6;
  const shard = shardOfTuple(b, first, place, shards);
  if (b[start] !== tag.update || b[start + 5] === mark.newTuple) return shard;
  const now = shardOfTuple(b, readTupleStart(b, start, end), place, shards, first);
  return now === shard ? shard : ALL_SHARDS;
}
