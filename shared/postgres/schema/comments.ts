import { ident } from '../ident.ts';
import type { SchemaObject } from './model.ts';
import { nameOf } from './render.ts';

/** What a comment stands on, in SQL, and the comment. */
export function commentsOf(object: SchemaObject): [target: string, comment: string][] {
  const found: [string, string | null][] = [];
  const on = `on ${nameOf(object)}`;
  switch (object.kind) {
    case 'schema':
    case 'extension':
      found.push([`${object.kind} ${ident(object.name)}`, object.comment]);
      break;
    case 'function':
      found.push([
        `${object.procedure ? 'procedure' : 'function'} ${nameOf(object)}(${object.arguments})`,
        object.comment,
      ]);
      break;
    case 'view':
      found.push([`${object.materialized ? 'materialized view' : 'view'} ${nameOf(object)}`, object.comment]);
      for (const each of object.columnComments)
        found.push([`column ${nameOf(object)}.${ident(each.name)}`, each.comment]);
      break;
    case 'type':
      found.push([`${object.form === 'domain' ? 'domain' : 'type'} ${nameOf(object)}`, object.comment]);
      if (object.form === 'composite') {
        for (const each of object.attributes)
          found.push([`column ${nameOf(object)}.${ident(each.name)}`, each.comment]);
      }
      if (object.form === 'domain') {
        for (const each of object.constraints) {
          found.push([`constraint ${ident(each.name)} on domain ${nameOf(object)}`, each.comment]);
        }
      }
      break;
    case 'table':
      found.push([`table ${nameOf(object)}`, object.comment]);
      for (const each of object.columns) {
        found.push([`column ${nameOf(object)}.${ident(each.name)}`, each.comment]);
        const sequence = each.identitySequence;
        if (sequence) found.push([`sequence ${nameOf(sequence)}`, sequence.comment]);
      }
      for (const each of object.constraints)
        found.push([`constraint ${ident(each.name)} ${on}`, each.comment]);
      for (const each of object.policies) found.push([`policy ${ident(each.name)} ${on}`, each.comment]);
      for (const each of object.statistics) found.push([`statistics ${nameOf(each)}`, each.comment]);
      break;
    default:
      found.push([`${object.kind} ${nameOf(object)}`, object.comment]);
  }
  if (object.kind === 'table' || object.kind === 'view') {
    for (const each of object.triggers) found.push([`trigger ${ident(each.name)} ${on}`, each.comment]);
    for (const each of object.indexes) {
      found.push([`index ${nameOf({ schema: object.schema, name: each.name })}`, each.comment]);
    }
  }
  return found.filter((each): each is [string, string] => each[1] !== null);
}
