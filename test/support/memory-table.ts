import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import type { SecretStore } from '../../shared/task/ports.ts';
import type { Item, Table } from '../../shared/task/table.ts';

/** A table in memory that keeps the conditions of the real one. Bodies are kept as JSON text, as DynamoDB does. */
export type MemoryTable = Table & {
  /** Everything stored, as `pk sk`, sorted; without what tells of past requests, which stays. */
  keys(): string[];
  /** The largest item so far in bytes, as DynamoDB counts them, roughly: it takes 400 KB. */
  readonly largestBytes: number;
};

export function openMemoryTable(): MemoryTable {
  let largestBytes = 0;
  const partitions = new Map<string, Map<string, string>>();
  const read = (text: string | undefined): Item | undefined =>
    text === undefined ? undefined : (JSON.parse(text) as Item);

  return {
    async get(pk, sk) {
      return read(partitions.get(pk)?.get(sk));
    },
    async put(item, expected) {
      const partition = partitions.get(item.pk) ?? new Map<string, string>();
      const stored = read(partition.get(item.sk));
      if (expected === 'absent' && stored) return false;
      if (typeof expected === 'number' && stored?.version !== expected) return false;
      const text = JSON.stringify(item);
      largestBytes = Math.max(largestBytes, Buffer.byteLength(text));
      partition.set(item.sk, text);
      partitions.set(item.pk, partition);
      return true;
    },
    async query(pk, { prefix = '', limit = 1000, after, descending = false } = {}) {
      const keys = [...(partitions.get(pk)?.keys() ?? [])].filter((sk) => sk.startsWith(prefix)).sort();
      if (descending) keys.reverse();
      const rest = keys.filter((sk) => after === undefined || (descending ? sk < after : sk > after));
      const items = rest.slice(0, limit).map((sk) => read(partitions.get(pk)?.get(sk))!);
      return rest.length > limit ? { items, next: items.at(-1)!.sk } : { items };
    },
    async remove(pk, sk) {
      partitions.get(pk)?.delete(sk);
    },
    get largestBytes() {
      return largestBytes;
    },
    keys: () =>
      [...partitions]
        .filter(([pk]) => pk !== 'audit' && pk !== 'idempotency')
        .flatMap(([pk, items]) => [...items.keys()].map((sk) => `${pk} ${sk}`))
        .sort(),
  };
}

export type MemorySecretStore = SecretStore & { references(): string[] };

/** Passwords in memory, under references like those of the local platform. */
export function openMemorySecretStore(): MemorySecretStore {
  const passwords = new Map<string, string>();
  return {
    async get(reference) {
      const password = passwords.get(reference);
      if (password === undefined)
        throw new PgtwinError('secret-unavailable', { detail: `There is no secret ${reference}.` });
      return password;
    },
    async put(name, password) {
      passwords.set(`local:${name}`, password);
      return `local:${name}`;
    },
    async remove(reference) {
      passwords.delete(reference);
    },
    references: () => [...passwords.keys()].sort(),
  };
}
