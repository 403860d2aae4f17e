import type { ReplicaKeys } from '../../../../shared/postgres/catalog.ts';
import { qualified } from '../../../../shared/postgres/ident.ts';
import { objectsOf } from '../../../../shared/postgres/schema/model.ts';
import { choosesColumns, selectedColumns } from '../../../../shared/task/columns.ts';
import { needsOldRows, policyOf, type TablePolicyInEffect } from '../../../../shared/task/conflict-config.ts';
import { isInverse, mappingOf, mapTables } from '../../../../shared/task/mapping.ts';
import { destinationOf, type TableName, type TaskConfig } from '../../../../shared/task/schema.ts';
import { keyOfTable, selectTables } from '../../../../shared/task/selection.ts';
import { isPartial, operationsOf } from '../../../../shared/task/table-rules.ts';
import {
  alert,
  type Check,
  count,
  failed,
  fixOn,
  nameOf,
  type PrecheckContext,
  passed,
  rowTables,
  withNames,
} from '../check.ts';

/** Whether this task's policies count: conflicts are decided at the arbiter, or at both sides. */
const decides = ({ pair, task, config, opposite }: PrecheckContext): boolean =>
  !opposite || config.decide === 'each-side' || destinationOf(task.direction) === pair.arbiter;

/** The policies of tables; a partition has that of the table that the selection names. */
function policiesIn({ listed, config }: PrecheckContext): (table: TableName) => TablePolicyInEffect {
  const roots = new Map(
    listed.flatMap((each) => {
      const { root } = each as { root?: TableName };
      return root ? [[keyOfTable(each), root] as const] : [];
    }),
  );
  return (table) => policyOf(config, roots.get(keyOfTable(table)) ?? table);
}

export const oldRows: Check = {
  item: 'old-rows',
  title: 'REPLICA IDENTITY FULL where a policy needs old values',
  run: async (context) => {
    if (!decides(context)) return passed('Conflicts are decided by the policies of the other task.');
    const policyIn = policiesIn(context);
    const needed = rowTables(context).filter((table) => needsOldRows(policyIn(table)));
    const without = needed.filter((table) => table.replicaIdentity !== 'full');
    if (without.length === 0)
      return passed(
        needed.length === 0
          ? 'No policy measures what changed from the old row.'
          : `The old row is in the WAL of ${count(needed.length, 'table')}.`,
      );
    return failed(
      `${count(without.length, 'table')} without REPLICA IDENTITY FULL: merge-columns and delta need old values.`,
      {
        fix: without.map(({ schema, name }) =>
          fixOn('source', `alter table ${qualified(schema, name)} replica identity full;`),
        ),
        details: [
          ...without.map((table) => `${nameOf(table)}: policy ${policyIn(table).policy}`),
          'Updates and deletions then write the whole old row to the WAL of the source.',
        ],
      },
    );
  },
};

const adds = /^(smallint|integer|bigint|numeric(\(.*\))?)$/;

export const policySettings: Check = {
  item: 'policy-settings',
  title: 'Policies and delta columns name what is there',
  run: async (context) => {
    const { config, tables, expected } = context;
    const byName = new Map(tables.map((table) => [keyOfTable(table), table]));
    const known = new Set([...byName.keys(), ...expected.map(keyOfTable)]);
    const wrong = config.deltaColumns.flatMap((of) => {
      const table = byName.get(keyOfTable({ schema: of.schema, name: of.table }));
      return table ? of.columns.flatMap((column) => wrongDelta(table, column)) : [];
    });
    if (wrong.length > 0)
      return failed(`${wrong[0]}.`, {
        details: [...wrong, 'Correct deltaColumns of the task: integers and numerics that are no key.'],
      });
    const strangers = [...config.tablePolicies, ...config.deltaColumns]
      .map(({ schema, table }) => ({ schema, name: table }))
      .filter((name) => !known.has(keyOfTable(name)));
    if (strangers.length === 0) return passed('They do.');
    return alert(`${count(strangers.length, 'table')} with a policy, but not selected.`, {
      details: strangers.map(nameOf),
    });
  },
};

function wrongDelta(table: ReplicaKeys, name: string): string[] {
  const column = table.columns.find((each) => each.name === name);
  const where = `${nameOf(table)}.${name}`;
  if (!column) return [`${where} does not exist`];
  if (column.generated) return [`${where} is generated`];
  if (!adds.test(column.type)) return [`${where} is of type ${column.type}, whose increments do not add up`];
  const inKey = table.uniqueKeys.some((key) => key.columns.includes(name));
  return inKey ? [`${where} is part of a unique key`] : [];
}

export const eachSide: Check = {
  item: 'decide',
  title: 'Conflicts are decided at one side',
  run: async ({ config, pair, opposite }) => {
    if (!opposite) return passed('Only one task: changes go one way.');
    if (config.decide === 'arbiter')
      return passed(`Side ${pair.arbiter} decides, and both databases end identical.`);
    return alert('Each side decides for itself: after a conflict the two databases may differ.', {
      details: ['Set decide to "arbiter" in the task that ends at the arbiter, and both end identical.'],
    });
  },
};

export const sameOutcome: Check = {
  item: 'policies',
  title: 'The policies of both tasks agree',
  run: async (context) => {
    const { pair, task, config, opposite, tables } = context;
    if (!opposite || config.decide === 'each-side')
      return passed('Only the policies of this task count here.');
    const policyIn = policiesIn(context);
    const other = tables.filter((table) => {
      const [one, two] = [policyIn(table), policyOf(opposite.config, table)];
      return JSON.stringify(one) !== JSON.stringify(two);
    });
    const counts = destinationOf(task.direction) === pair.arbiter ? 'this task' : 'the opposite task';
    if (other.length === 0 && opposite.config.decide === 'arbiter')
      return passed(`They are alike. Side ${pair.arbiter} decides, by those of ${counts}.`);
    return alert(
      `The two tasks have different policies; those of ${counts} count, at side ${pair.arbiter}.`,
      {
        details: [
          ...(opposite.config.decide === 'arbiter' ? [] : ['decide differs']),
          ...other.map(
            (table) =>
              `${nameOf(table)}: ${policyIn(table).policy} here, ${policyOf(opposite.config, table).policy} there`,
          ),
        ],
      },
    );
  },
};

const leftOut = (config: TaskConfig, table: TableName): string[] =>
  Object.entries(operationsOf(config, table)).flatMap(([operation, wanted]) => (wanted ? [] : [operation]));

export const mirrored: Check = {
  item: 'mirrored-tables',
  title: 'Both tasks synchronize the same tables whole',
  run: async (context) => {
    const { config, opposite, tables, listed, there } = context;
    if (!opposite) return passed('Only one task: nothing comes back.');
    const back = new Set(selectTables(opposite.config.objects, listed.map(withNames(there))).map(keyOfTable));
    const reasons = tables.flatMap((table) => {
      const left = [...new Set([...leftOut(config, table), ...leftOut(opposite.config, there(table))])];
      if (left.length > 0) return [`${nameOf(table)}: ${left.join(', ')} left out`];
      if (isPartial(config.objects, table) || isPartial(opposite.config.objects, there(table)))
        return [`${nameOf(table)}: its rows are filtered or changed on the way`];
      if (!back.has(keyOfTable(there(table)))) return [`${nameOf(table)}: not selected by the opposite task`];
      const why = notMirrored(context, table, opposite.config);
      return why === undefined ? [] : [`${nameOf(table)}: ${why}`];
    });
    if (reasons.length === 0)
      return passed(`${count(tables.length, 'table')}: conflicts end alike on both sides.`);
    return alert(
      `${count(reasons.length, 'table')} where each side decides for itself, and the two may differ.`,
      {
        details: reasons,
      },
    );
  },
};

/** What keeps a table that both tasks select from being the same on both sides. */
function notMirrored(
  { config, onDestination }: PrecheckContext,
  table: ReplicaKeys,
  other: TaskConfig,
): string | undefined {
  const own = mappingOf(config.objects.mapping);
  const back = mappingOf(other.objects.mapping);
  const selected = selectedOf(config, table, table.identityColumns);
  const [mapped] = mapTables(own, [{ ...table, columns: selected }]);
  if (!isInverse(back, mapped!)) return 'the opposite task does not give its names back exactly';
  const found = onDestination.get(keyOfTable(table));
  if (!found) return undefined;
  const key = table.identityColumns?.map((column) => own.column(table, column));
  if (key && found.identityColumns && key.join('\0') !== found.identityColumns.join('\0'))
    return 'its key is not the same on both sides';
  const chosen = choosesColumns(config.objects, table) || choosesColumns(other.objects, found);
  const names = mapped!.columns.map((column) => column.destination);
  const theirs = selectedOf(other, found, found.identityColumns);
  return chosen && names.toSorted().join('\0') !== theirs.toSorted().join('\0')
    ? 'the two tasks do not select the same columns'
    : undefined;
}

const selectedOf = ({ objects }: TaskConfig, table: ReplicaKeys, key: readonly string[] | null): string[] =>
  selectedColumns(
    objects,
    table,
    table.columns.flatMap((column) => (column.generated ? [] : [column.name])),
    key ?? [],
  );

export const foreignKeyConflicts: Check = {
  item: 'foreign-key-conflicts',
  title: 'Foreign keys while both sides write',
  run: async ({ config, opposite, schemas }) => {
    if (!opposite) return passed('Only one task: parents and children come from one side.');
    const { source } = await schemas();
    const keys = objectsOf(source, 'table').flatMap((table) =>
      table.constraints
        .filter((each) => each.references !== null)
        .map((each) => `${nameOf(table)}, ${each.name}: refers to ${nameOf(each.references!)}`),
    );
    if (keys.length === 0) return passed('No foreign keys.');
    if (config.decide === 'arbiter')
      return passed(
        `${count(keys.length, 'foreign key')}: a row whose parent the other side has deleted ${
          config.missingParent === 'restore-parent' ? 'brings it back' : 'is deleted'
        } (missingParent).`,
      );
    return alert(
      'A row that one side deletes while the other inserts a child of it leaves the child without parent, on both sides alike.',
      { details: [...keys, 'Delete parents on one side only, or look for such children now and then.'] },
    );
  },
};
