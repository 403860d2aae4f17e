import { ident, literal } from '../ident.ts';
import { commentsOf } from './comments.ts';
import { keyOf, objectsOf, type SchemaModel, type SchemaObject } from './model.ts';
import { planTable } from './plan-table.ts';
import { type Rename, renameModel } from './rename.ts';
import {
  createCollation,
  createFunction,
  createIndex,
  createSequence,
  createType,
  createView,
  isNotValid,
  nameOf,
} from './render.ts';
import { type Emit, type Phase, phases, type SchemaPlan, type Statement } from './statement.ts';

export type PlanOptions = {
  /** What is there already (readDestination): it is left out. Without it, the destination counts as empty. */
  readonly destination?: SchemaModel;
  /** The destination's names; applied to the model first. */
  readonly rename?: Rename;
};

/**
 * The statements that make on the destination what the model has, in order, each to be run by itself over the simple
 * protocol (some hold two statements). An object that is there is never replaced: compareSchemas says where it
 * differs. After a crash, read the destination and plan again: what was made is left out.
 */
export function planSchema(source: SchemaModel, options: PlanOptions = {}): SchemaPlan {
  const model = options.rename ? renameModel(source, options.rename) : source;
  const there = indexObjects(options.destination);
  const plan: Record<Phase, Statement[]> = {
    before: [],
    primaryKeys: [],
    indexes: [],
    foreignKeys: [],
    after: [],
  };
  const emit: Emit = (phase, { kind, schema, name }, sql) => {
    plan[phase].push({ sql, object: { kind, schema, name }, phase });
  };

  const selected = new Set(objectsOf(model, 'table').map(keyOf));
  const namesNotNull = (options.destination ?? model).serverVersion >= 180_000;
  let viewSeen = false;
  const late: (() => void)[] = [];
  for (const object of model.objects) {
    const existing = there.get(objectKey(object));
    if (object.kind === 'view') viewSeen = true;
    if (object.kind === 'table') {
      late.push(
        planTable(object, existing?.kind === 'table' ? existing : undefined, {
          selected,
          namesNotNull,
          emit,
        }),
      );
    } else planObject(object, existing, emit, viewSeen ? 'after' : 'before');
  }
  // What needs functions that need tables: now all of them are there.
  for (const finish of late) finish();
  for (const sequence of objectsOf(model, 'sequence')) planOwnership(sequence, there, emit);
  for (const object of model.objects) planComment(object, there.get(objectKey(object)), emit);
  return plan;
}

/** All statements, in the order of the phases. */
export const statementsOf = (plan: SchemaPlan): Statement[] => phases.flatMap((phase) => plan[phase]);

export type Existing = ReadonlyMap<string, SchemaObject>;

const objectKey = (object: SchemaObject): string =>
  `${object.kind}\0${object.kind === 'extension' ? object.name : keyOf(object)}${
    object.kind === 'function' ? `\0${object.arguments}` : ''
  }`;

const indexObjects = (model: SchemaModel | undefined): Existing =>
  new Map((model?.objects ?? []).map((each) => [objectKey(each), each]));

function planObject(
  object: Exclude<SchemaObject, { kind: 'table' }>,
  existing: SchemaObject | undefined,
  emit: Emit,
  phase: 'before' | 'after',
): void {
  if (object.kind === 'view') {
    const view = existing?.kind === 'view' ? existing : undefined;
    if (!view) emit('after', object, createView(object));
    for (const index of object.indexes) {
      if (view?.indexes.some((each) => each.name === index.name)) continue;
      emit('after', { ...object, kind: 'index', name: index.name }, createIndex(object, index, false));
    }
    for (const trigger of object.triggers) {
      if (view?.triggers.some((each) => each.name === trigger.name)) continue;
      emit('after', { ...object, kind: 'trigger', name: trigger.name }, trigger.definition);
    }
    return;
  }
  if (object.kind === 'type' && object.form === 'domain') {
    const has = new Set(
      existing && 'constraints' in existing ? existing.constraints.map((each) => each.name) : [],
    );
    for (const each of object.constraints) {
      if (!isNotValid(each.definition) || has.has(each.name)) continue;
      emit(
        'foreignKeys',
        object,
        `alter domain ${nameOf(object)} add constraint ${ident(each.name)} ${each.definition}`,
      );
    }
  }
  if (!existing) emit(phase, object, createStatement(object));
}

function createStatement(object: Exclude<SchemaObject, { kind: 'table' | 'view' }>): string {
  switch (object.kind) {
    case 'schema':
      return `create schema if not exists ${ident(object.name)}`;
    case 'extension':
      return `create extension if not exists ${ident(object.name)} with schema ${ident(object.schema)}`;
    case 'collation':
      return createCollation(object);
    case 'type':
      return createType(object);
    case 'sequence':
      return createSequence(object);
    case 'function':
      return createFunction(object);
  }
}

function planOwnership(
  sequence: Extract<SchemaObject, { kind: 'sequence' }>,
  there: Existing,
  emit: Emit,
): void {
  const existing = there.get(objectKey(sequence));
  if (!sequence.ownedBy || (existing?.kind === 'sequence' && existing.ownedBy)) return;
  emit(
    'after',
    sequence,
    `alter sequence ${nameOf(sequence)} owned by ${nameOf(sequence.ownedBy)}.${ident(sequence.ownedBy.column)}`,
  );
}

function planComment(object: SchemaObject, existing: SchemaObject | undefined, emit: Emit): void {
  for (const [target, comment] of commentsOf(object)) {
    if (existing && commentsOf(existing).some(([other]) => other === target)) continue;
    emit('after', object, `comment on ${target} is ${literal(comment)}`);
  }
}
