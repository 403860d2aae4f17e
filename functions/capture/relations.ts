import { type Relation, readRelation, u32 } from '../../shared/postgres/pgoutput.ts';

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

  get(oid: number): KnownRelation | undefined {
    return this.#known.get(oid);
  }

  /** The relation of a row change, whose id follows the tag. */
  of(b: Buffer, start: number): KnownRelation | undefined {
    return this.#known.get(u32(b, start + 1));
  }
}
