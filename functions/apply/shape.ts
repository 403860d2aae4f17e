import type { Text } from '../../shared/etl/plan.ts';
import { type Relation, tag, valueAt } from '../../shared/postgres/pgoutput.ts';
import type { DecodedChanges } from '../../shared/stream/decode.ts';
import { evaluateFilters } from './filter.ts';
import { hasUnchanged, refsOf } from './net-change.ts';
import type { Shape, ShapeOf } from './objects.ts';
import type { Session } from './session.ts';
import { TupleWriter } from './tuple-writer.ts';

/**
 * The changes of a batch with the rows of some relations in another shape, and without those that are left out; the
 * same object where there is nothing to do. A row that moves into its condition is inserted, one that moves out is
 * deleted. Where the old row is not in the stream, an update may be of a row that is not there, and so may the deletion
 * that comes of one: neither is a conflict (`ApplyTable.partial`).
 */
export async function shapeChanges(
  changes: DecodedChanges,
  shapeOf: ShapeOf | undefined,
  session: Pick<Session, 'client'>,
): Promise<DecodedChanges> {
  const shapes = shapeOf && shapesIn(changes, shapeOf);
  if (!shapes) return changes;
  const shaper = new Shaper(changes, await evaluateFilters(changes, shapes, session));
  const transactions = changes.transactions.map((transaction) => {
    const from = shaper.length;
    for (let i = transaction.from; i < transaction.to; i++) shaper.take(i, shapes.get(changes.relations[i]!));
    return { ...transaction, from, to: shaper.length };
  });
  return shaper.finish(transactions);
}

function shapesIn({ relations }: DecodedChanges, shapeOf: ShapeOf): Map<Relation, Shape> | undefined {
  const shapes = new Map<Relation, Shape>();
  const without = new Set<Relation>();
  let last: Relation | undefined;
  for (const relation of relations) {
    if (relation === last || without.has(relation) || shapes.has(relation)) continue;
    last = relation;
    const shape = relation.schema === 'pgtwin' ? undefined : shapeOf(relation);
    if (shape) shapes.set(relation, shape);
    else without.add(relation);
  }
  return shapes.size > 0 ? shapes : undefined;
}

/** A tuple that goes on, by its offset; undefined: the row is outside. */
type Shaped = number | undefined;

class Shaper {
  readonly #from: DecodedChanges;
  readonly #writer: TupleWriter;
  readonly #out: { [K in 'tags' | 'newAt' | 'oldAt' | 'indexes']: number[] } & { relations: Relation[] };
  /** Offsets of tuples that the conditions leave out. */
  readonly #outside: ReadonlySet<number>;

  constructor(from: DecodedChanges, outside: ReadonlySet<number>) {
    this.#from = from;
    this.#outside = outside;
    this.#writer = new TupleWriter(from.bytes);
    this.#out = { tags: [], relations: [], newAt: [], oldAt: [], indexes: [] };
  }

  get length(): number {
    return this.#out.tags.length;
  }

  finish(transactions: DecodedChanges['transactions']): DecodedChanges {
    return { ...this.#out, bytes: this.#writer.bytes(), transactions };
  }

  take(i: number, shape: Shape | undefined): void {
    const { tags, relations, newAt, oldAt } = this.#from;
    const kind = tags[i]!;
    if (!shape) return this.#push(i, kind, relations[i]!, newAt[i]!, oldAt[i]!);
    const { relation } = shape;
    if (kind === tag.truncate) return this.#push(i, kind, relation, 0, 0);
    const old = oldAt[i]!;
    const before = old > 0 ? this.#row(shape, old) : undefined;
    if (kind === tag.delete) {
      if (old < 0) this.#push(i, kind, relation, 0, -this.#key(shape, -old));
      else if (before !== undefined) this.#push(i, kind, relation, 0, before);
      return;
    }
    const now = this.#row(shape, newAt[i]!, old > 0 ? old : undefined);
    if (kind === tag.insert || (old > 0 && before === undefined)) {
      if (now !== undefined) this.#push(i, tag.insert, relation, now, 0);
      return;
    }
    if (now !== undefined) {
      const oldNow = old > 0 ? before! : old < 0 ? -this.#key(shape, -old) : 0;
      return this.#push(i, kind, relation, now, oldNow);
    }
    // It moves out, or was outside before: its key is deleted.
    const gone = old > 0 ? before! : -this.#key(shape, old < 0 ? -old : newAt[i]!);
    this.#push(i, tag.delete, relation, 0, gone);
  }

  #push(i: number, kind: number, relation: Relation, newAt: number, oldAt: number): void {
    this.#out.tags.push(kind);
    this.#out.relations.push(relation);
    this.#out.newAt.push(newAt);
    this.#out.oldAt.push(oldAt);
    this.#out.indexes.push(this.#from.indexes[i]!);
  }

  /** `old` is the whole old row, which has what an update did not send. */
  #row({ kept, etl }: Shape, at: number, old?: number): Shaped {
    if (this.#outside.has(at)) return undefined;
    const { bytes } = this.#from;
    let refs = refsOf(bytes, at);
    if (old !== undefined && hasUnchanged(bytes, at)) {
      const former = refsOf(bytes, old);
      refs = refs.map((ref, n) => (valueAt(bytes, ref) === undefined ? former[n]! : ref));
    }
    if (!etl) return this.#writer.project(refs, kept);
    const row = etl.run(kept.map((column): Text => valueAt(bytes, refs[column]!)));
    return row && this.#writer.write(row);
  }

  /** A tuple of which only the key counts. */
  #key({ kept, etl }: Shape, at: number): number {
    const { bytes } = this.#from;
    const refs = refsOf(bytes, at);
    if (!etl) return this.#writer.project(refs, kept);
    return this.#writer.write(etl.keyOnly(kept.map((column): Text => valueAt(bytes, refs[column]!))));
  }
}
