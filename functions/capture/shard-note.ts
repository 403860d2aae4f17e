import type { PreparedTable } from '../../shared/task/schema.ts';

const SHOWN = 10;

/** What a pair with several shards has to know, for its tasks' status; undefined with one. */
export function shardNote(shards: number, tables: readonly PreparedTable[]): string | undefined {
  if (shards === 1) return undefined;
  const byTable = tables
    .filter(({ shard }) => shard !== 'key')
    .map(({ schema, name }) => `${schema}.${name}`);
  const more = byTable.length > SHOWN ? ` and ${byTable.length - SHOWN} more` : '';
  const names = byTable.length > 0 ? ` (${byTable.slice(0, SHOWN).join(', ')}${more})` : '';
  return `Source transactions are not whole at the destination: changes go to ${shards} shards, applied side by side. By key: ${tables.length - byTable.length} of ${tables.length} tables; by table: ${byTable.length}${names}. The precheck item "shards" says why.`;
}
