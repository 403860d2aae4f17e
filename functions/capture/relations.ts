import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { type Relation, readRelation, u32 } from '../../shared/postgres/pgoutput.ts';
import { limits } from '../../shared/stream/limits.ts';

/** What a relation of the stream means to the capture. */
export type RelationKind = 'user' | 'progress' | 'heartbeat' | 'chunk' | 'control' | 'other';

export type KnownRelation = {
  readonly kind: RelationKind;
  readonly relation: Relation;
  readonly bytes: Buffer;
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

  /** Takes a Relation message; the newest definition counts for what follows. */
  define(b: Buffer, start: number, end: number): number {
    const bytes = Buffer.from(b.subarray(start, end));
    const relation = readRelation(bytes, 0, bytes.length);
    const kind = relation.schema === 'pgtwin' ? (helperKinds[relation.name] ?? 'other') : 'user';
    this.#known.set(relation.oid, { kind, relation, bytes });
    return relation.oid;
  }

  /** Takes over what a transaction in progress was told: once it has committed, the server does not repeat it. */
  adopt(others: Relations): void {
    for (const [oid, relation] of others.#known) this.#known.set(oid, relation);
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
