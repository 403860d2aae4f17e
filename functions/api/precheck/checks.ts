import type { Check } from './check.ts';
import * as conflicts from './items/conflicts.ts';
import * as objects from './items/objects.ts';
import * as privileges from './items/privileges.ts';
import * as schema from './items/schema.ts';
import { sequences } from './items/sequences.ts';
import * as server from './items/server.ts';
import { shards } from './items/shards.ts';
import * as tables from './items/tables.ts';

/** Items that need a database to be reachable; they come first in a report. */
export const connectionItems = {
  source: { item: 'source-connection', title: 'The source can be reached, and the account may log in' },
  destination: {
    item: 'destination-connection',
    title: 'The destination can be reached, and the account may log in',
  },
} as const;

/** Every other item, in the order of a report. */
export const checks: readonly Check[] = [
  server.tls,
  server.serverVersion,
  server.writable,
  server.serverIdentity,
  server.serverTime,
  server.walLevel,
  server.replicationSlots,
  server.walRetention,
  server.slotFailover,
  server.encoding,
  server.commitTimestamp,
  server.longTransactions,
  privileges.replicationPrivilege,
  privileges.publicationPrivilege,
  privileges.sourcePrivileges,
  privileges.helperSchema,
  privileges.destinationCreate,
  privileges.destinationWrite,
  privileges.replicaRole,
  privileges.replicationOrigins,
  tables.rowSecurity,
  tables.selection,
  objects.columns,
  objects.objectNames,
  objects.rowFilters,
  objects.etl,
  tables.tableKinds,
  tables.replicaKeys,
  tables.replicaIdentity,
  tables.conflictingTables,
  tables.largeObjects,
  schema.schemaSupport,
  schema.schemaDifferences,
  objects.sharedColumns,
  schema.foreignKeys,
  schema.triggers,
  sequences,
  conflicts.policySettings,
  conflicts.oldRows,
  conflicts.eachSide,
  conflicts.sameOutcome,
  conflicts.mirrored,
  conflicts.foreignKeyConflicts,
  shards,
];

export const itemNames: readonly string[] = [
  ...Object.values(connectionItems).map(({ item }) => item),
  ...checks.map(({ item }) => item),
];
