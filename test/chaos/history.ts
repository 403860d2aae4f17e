import pg from 'pg';
import { ident, literal } from '../../shared/postgres/ident.ts';
import {
  checkTuple,
  mark,
  type Relation,
  readBegin,
  readRelation,
  readTruncate,
  tag,
  u16,
  u32,
  unixMicros,
  valueAt,
  walkTuple,
} from '../../shared/postgres/pgoutput.ts';
import { watched } from './schema.ts';

const NAME = 'chaos_history';

/** From here on a slot keeps all that is written, by users and by pgtwin itself, for a look back. */
export async function keepHistory(url: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  const tables = watched.map((name) => name.split('.').map(ident).join('.')).join(', ');
  await client.query(/* sql */ `create publication ${ident(NAME)} for table ${tables}`);
  await client.query(/* sql */ `select pg_create_logical_replication_slot(${literal(NAME)}, 'pgoutput')`);
  await client.end();
}

/** One line per change, in commit order: where, which transaction, what. Long values are cut. */
export async function readHistory(url: string): Promise<string[]> {
  const client = new pg.Client(url);
  client.on('error', () => {});
  await client.connect();
  const { rows } = await client
    .query<{ data: Buffer }>(
      /* sql */ `select data from pg_logical_slot_peek_binary_changes(
        ${literal(NAME)}, null, null, 'proto_version', '1', 'publication_names', ${literal(NAME)})`,
    )
    .finally(() => client.end());
  const relations = new Map<number, Relation>();
  const lines: string[] = [];
  let begin = '';
  for (const { data } of rows) {
    if (data[0] === tag.begin) {
      const { commitLsn, time, xid } = readBegin(data, 0, data.length);
      begin = `${commitLsn.toString(16).padStart(10, '0')} x${xid} ${new Date(Number(unixMicros(time) / 1000n)).toISOString().slice(11, 23)}`;
    } else if (data[0] === tag.relation) relations.set(u32(data, 1), readRelation(data, 0, data.length));
    else {
      const text = lineOf(data, relations);
      if (text) lines.push(`${begin} ${text}`);
    }
  }
  return lines;
}

function lineOf(b: Buffer, relations: ReadonlyMap<number, Relation>): string | undefined {
  if (b[0] === tag.truncate)
    return `truncate ${readTruncate(b, 0, b.length)
      .relations.map((oid) => relations.get(oid)?.name)
      .join(', ')}`;
  if (b[0] !== tag.insert && b[0] !== tag.update && b[0] !== tag.delete) return undefined;
  const { name } = relations.get(u32(b, 1))!;
  const kind = b[0] === tag.insert ? 'insert' : b[0] === tag.update ? 'update' : 'delete';
  let at = 5;
  let old = '';
  if (b[at] !== mark.newTuple) {
    old = ` from ${tupleText(b, at + 1)}`;
    at = checkTuple(b, at + 1, b.length, u16(b, at + 1));
  }
  const now = at < b.length && b[at] === mark.newTuple ? ` ${tupleText(b, at + 1)}` : '';
  return `${kind} ${name}${now}${old}`;
}

function tupleText(b: Buffer, at: number): string {
  const refs: number[] = [];
  walkTuple(b, at, b.length, refs, 0);
  return `(${refs
    .map((ref) => {
      const value = valueAt(b, ref);
      if (value === undefined) return '~';
      return value === null ? '-' : value.length > 60 ? `${value.slice(0, 12)}…${value.length}` : value;
    })
    .join(' | ')})`;
}
