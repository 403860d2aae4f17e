import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { newValues, type Relation, readRelation, u32 } from '../../shared/postgres/pgoutput.ts';
import { parseTextArray } from '../../shared/postgres/text-array.ts';
import { limits } from '../../shared/stream/limits.ts';
import type { Place, Placing } from '../../shared/task/placing.ts';

/** What a relation of the stream means to the capture. */
export type RelationKind = 'user' | 'progress' | 'heartbeat' | 'chunk' | 'control' | 'other';

export type KnownRelation = {
  readonly kind: RelationKind;
  readonly relation: Relation;
  readonly bytes: Buffer;
  /** Of a user's table: where its rows go. */
  readonly place: Place;
};

const helperKinds: Readonly<Record<string, RelationKind>> = {
  apply_progress: 'progress',
  heartbeat: 'heartbeat',
  copy_chunk: 'chunk',
  pull: 'control',
  answer: 'control',
  outcome: 'control',
};

/**
 * Relations announced on this connection. Control information is taken from tables of schema `pgtwin` only, which
 * the account alone can write, never from logical messages, which PUBLIC may emit.
 */
export class Relations {
  readonly #known = new Map<number, KnownRelation>();
  readonly #placing: Placing | undefined;

  /** Without `placing` it is not known where rows go: a transaction in progress goes as a whole. */
  constructor(placing?: Placing) {
    this.#placing = placing;
  }

  /** Takes a Relation message; the newest definition counts for what follows. */
  define(b: Buffer, start: number, end: number): number {
    const bytes = Buffer.from(b.subarray(start, end));
    const relation = readRelation(bytes, 0, bytes.length);
    const kind = relation.schema === 'pgtwin' ? (helperKinds[relation.name] ?? 'other') : 'user';
    this.#known.set(relation.oid, { kind, relation, bytes, place: this.#placeOf(kind, relation) });
    return relation.oid;
  }

  /** Takes over what a transaction in progress was told: once it has committed, the server does not repeat it. */
  adopt(others: Relations): void {
    for (const [oid, known] of others.#known)
      this.#known.set(oid, { ...known, place: this.#placeOf(known.kind, known.relation) });
  }

  #placeOf(kind: RelationKind, relation: Relation): Place {
    return kind === 'user' ? (this.#placing?.of(relation) ?? 0) : 0;
  }

  get(oid: number): KnownRelation | undefined {
    return this.#known.get(oid);
  }

  /** The relation of a row change, whose id follows the tag. */
  of(b: Buffer, start: number): KnownRelation | undefined {
    return this.#known.get(u32(b, start + 1));
  }
}

/** The relation of a row change, which must be known; throws `limit-exceeded` for a change that is too large. */
export function relationAt(relations: Relations, b: Buffer, start: number, end: number): KnownRelation {
  const known = relations.of(b, start);
  if (!known)
    throw new PgtwinError('wal-message-malformed', {
      detail: `Relation ${u32(b, start + 1)} is not defined.`,
    });
  if (end - start > limits.changeBytes)
    throw new PgtwinError('limit-exceeded', {
      detail: `A row of ${known.relation.schema}.${known.relation.name} has ${end - start} bytes; at most ${limits.changeBytes} can be synchronized.`,
    });
  return known;
}

/** The known relations of a truncate, at least one. */
export function relationsOfTruncate(relations: Relations, b: Buffer, start: number): KnownRelation[] {
  const found = Array.from({ length: u32(b, start + 1) }, (_, i) => relations.get(u32(b, start + 6 + 4 * i)));
  const known = found.filter((each) => each !== undefined);
  if (known.length > 0) return known;
  throw new PgtwinError('wal-message-malformed', { detail: 'A truncate of unknown relations.' });
}

/** The shard of a control row: that of the key which it names. */
export function shardOfControl(
  { relation }: KnownRelation,
  b: Buffer,
  start: number,
  end: number,
  placing: Placing,
): number {
  const value = newValues(b, start, end, relation);
  return placing.ofKey(value('relation'), parseTextArray(value('key')) as string[]);
}
