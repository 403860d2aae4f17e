import { ident } from '../ident.ts';
import { type ConstraintModel, keyOf, type PolicyModel, type TableModel } from './model.ts';
import {
  columnSettings,
  createIndex,
  createTable,
  isInlineCheck,
  nameOf,
  notNullName,
  optionList,
} from './render.ts';
import type { Emit, Phase } from './statement.ts';

/**
 * Plans one table; `there` is what the destination has of it, `selected` the keys of all tables. The returned function adds what needs functions that
 * need tables, to be called when all tables and functions are planned.
 */
export function planTable(
  table: TableModel,
  there: TableModel | undefined,
  { selected, namesNotNull, emit }: { selected: ReadonlySet<string>; namesNotNull: boolean; emit: Emit },
): () => void {
  if (table.form === 'foreign') return () => {};
  const alter = (phase: Phase, actions: readonly string[]) => {
    if (actions.length > 0) emit(phase, table, `alter table only ${nameOf(table)} ${actions.join(', ')}`);
  };
  const column = (name: string) => there?.columns.find((each) => each.name === name);

  if (!there) emit('before', table, createTable(table, namesNotNull));
  alter(
    'before',
    // A column that the destination's table does not have is a difference, not something to alter.
    table.columns
      .filter((each) => !there || column(each.name))
      .flatMap((each) => columnSettings(each, column(each.name))),
  );
  if (table.partitionOf && !there?.partitionOf) {
    const { bound, ...parent } = table.partitionOf;
    emit('before', table, `alter table only ${nameOf(parent)} attach partition ${nameOf(table)} ${bound}`);
  }
  planConstraints(table, there, selected, emit);
  planIndexes(table, there, emit);
  planRest(table, there, emit);

  return () => {
    alter(
      'before',
      table.columns
        .filter((each) => each.defaultLate && !each.generated && !column(each.name)?.default)
        .map((each) => `alter column ${ident(each.name)} set default ${each.default}`),
    );
    for (const each of table.constraints) {
      if (each.type !== 'check' || !each.late || !each.local || !each.validated || hasConstraint(there, each))
        continue;
      emit('before', { ...table, kind: 'constraint', name: each.name }, addConstraint(table, each));
    }
  };
}

const hasConstraint = (there: TableModel | undefined, constraint: ConstraintModel): boolean =>
  there?.constraints.some((each) => each.name === constraint.name) ?? false;

/** A check or foreign key of a partitioned or inherited table goes to its children as well; a key is attached. */
const addConstraint = (table: TableModel, constraint: ConstraintModel): string => {
  const all = constraint.type === 'check' || (constraint.type === 'foreign' && table.form === 'partitioned');
  return `alter table ${all ? '' : 'only '}${nameOf(table)} add constraint ${ident(constraint.name)} ${constraint.definition}`;
};

function planConstraints(
  table: TableModel,
  there: TableModel | undefined,
  selected: ReadonlySet<string>,
  emit: Emit,
): void {
  for (const each of table.constraints) {
    const phase = phaseOf(table, each);
    if (!phase) continue;
    // The precheck names it (foreignKeyFindings).
    if (each.references && !selected.has(keyOf(each.references))) continue;
    const object = { ...table, kind: 'constraint', name: each.name };
    if (!hasConstraint(there, each)) {
      // Only one primary key: another name there is a difference that compareSchemas tells.
      if (each.type === 'primary' && there?.constraints.some((other) => other.type === 'primary')) continue;
      emit(phase, object, addConstraint(table, each));
    }
    const existing = there?.constraints.find((other) => other.name === each.name);
    const index = nameOf({ schema: table.schema, name: each.name });
    if (each.options.length > 0 && !existing?.options.length) {
      emit(phase, object, `alter index ${index} set (${optionList(each.options)})`);
    }
    if (each.attachedTo !== null && table.partitionOf && !existing?.attachedTo) {
      const parent = nameOf({ schema: table.partitionOf.schema, name: each.attachedTo });
      emit(phase, object, `alter index ${parent} attach partition ${index}`);
    }
  }
  for (const column of table.columns) {
    const named = column.notNullConstraint;
    if (!named || named.validated || !named.local) continue;
    if (there?.columns.find((each) => each.name === column.name)?.notNull) continue;
    emit(
      'foreignKeys',
      table,
      `alter table only ${nameOf(table)} add constraint ${ident(notNullName(table, column))} not null ${ident(column.name)}${
        named.noInherit ? ' no inherit' : ''
      } not valid`,
    );
  }
}

/** Null: it is made with the table, comes from a parent, or is made when all functions are there. */
function phaseOf(table: TableModel, constraint: ConstraintModel): Phase | null {
  switch (constraint.type) {
    case 'primary':
      return 'primaryKeys';
    case 'unique':
    case 'exclude':
      return 'indexes';
    case 'foreign':
      return 'foreignKeys';
    case 'check':
      // Rows from before a NOT VALID check may break it, so it comes after the data.
      if (isInlineCheck(table, constraint) || (constraint.late && constraint.validated)) return null;
      return constraint.local ? 'foreignKeys' : null;
    default:
      return null;
  }
}

function planIndexes(table: TableModel, there: TableModel | undefined, emit: Emit): void {
  for (const index of table.indexes) {
    if (!index.valid && table.form !== 'partitioned') continue;
    const object = { ...table, kind: 'index', name: index.name };
    const existing = there?.indexes.find((each) => each.name === index.name);
    if (!existing) emit('indexes', object, createIndex(table, index, table.form === 'partitioned'));
    if (index.attachedTo !== null && table.partitionOf && !existing?.attachedTo) {
      const parent = nameOf({ schema: table.partitionOf.schema, name: index.attachedTo });
      const own = nameOf({ schema: table.schema, name: index.name });
      emit('indexes', object, `alter index ${parent} attach partition ${own}`);
    }
  }
  const identity = table.replicaIdentity;
  if (typeof identity !== 'string' && (there?.replicaIdentity ?? 'default') === 'default') {
    emit(
      'indexes',
      table,
      `alter table only ${nameOf(table)} replica identity using index ${ident(identity.index)}`,
    );
  }
  if (table.clusteredOn !== null && !there?.clusteredOn) {
    emit('indexes', table, `alter table ${nameOf(table)} cluster on ${ident(table.clusteredOn)}`);
  }
}

function planRest(table: TableModel, there: TableModel | undefined, emit: Emit): void {
  const name = nameOf(table);
  const identity = table.replicaIdentity;
  if (
    (identity === 'full' || identity === 'nothing') &&
    (there?.replicaIdentity ?? 'default') === 'default'
  ) {
    emit('primaryKeys', table, `alter table only ${name} replica identity ${identity}`);
  }
  for (const each of table.statistics) {
    if (there?.statistics.some((other) => keyOf(other) === keyOf(each))) continue;
    emit('after', { ...each, kind: 'statistics' }, each.definition);
    if (each.target !== null) {
      emit(
        'after',
        { ...each, kind: 'statistics' },
        `alter statistics ${nameOf(each)} set statistics ${each.target}`,
      );
    }
  }
  for (const policy of table.policies) {
    if (there?.policies.some((other) => other.name === policy.name)) continue;
    emit('after', { ...table, kind: 'policy', name: policy.name }, createPolicy(table, policy));
  }
  if (table.rowSecurity && !there?.rowSecurity) {
    emit('after', table, `alter table ${name} enable row level security`);
  }
  if (table.forceRowSecurity && !there?.forceRowSecurity) {
    emit('after', table, `alter table ${name} force row level security`);
  }
  const enable = { origin: '', replica: 'enable replica', always: 'enable always', disabled: 'disable' };
  for (const trigger of table.triggers) {
    const object = { ...table, kind: 'trigger', name: trigger.name };
    const existing = there?.triggers.find((each) => each.name === trigger.name);
    if (!existing) emit('after', object, trigger.definition);
    if (trigger.enabled !== 'origin' && (existing?.enabled ?? 'origin') === 'origin') {
      emit('after', object, `alter table ${name} ${enable[trigger.enabled]} trigger ${ident(trigger.name)}`);
    }
  }
}

const createPolicy = (table: TableModel, policy: PolicyModel): string =>
  [
    `create policy ${ident(policy.name)} on ${nameOf(table)}`,
    `as ${policy.permissive ? 'permissive' : 'restrictive'} for ${policy.command}`,
    `to ${policy.roles.length > 0 ? policy.roles.map(ident).join(', ') : 'public'}`,
    ...(policy.using === null ? [] : [`using (${policy.using})`]),
    ...(policy.check === null ? [] : [`with check (${policy.check})`]),
  ].join(' ');
