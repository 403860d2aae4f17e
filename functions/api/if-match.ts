import { PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { Repository } from '../../shared/task/repository.ts';
import type { Task } from '../../shared/task/schema.ts';
import type { Table } from '../../shared/task/table.ts';

/** Throws `conflict-of-versions` unless the header is absent, `*`, or names the tag. */
export function assertMatches(header: string | undefined, etag: string): void {
  if (header === undefined || header.trim() === '*') return;
  const tags = header.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  if (!tags.includes(etag))
    throw new PgtwinError('conflict-of-versions', {
      field: 'header.if-match',
      detail: `If-Match is ${header}, but the current version is ${etag}.`,
    });
}

/**
 * A repository for one request with If-Match. Its writes are conditional on the version that they read; this refuses
 * to read any other version of the task than `expected`, so nothing can come between the check and the write.
 */
export function repositoryAt(repository: Repository, expected: Task, now: () => Date): Repository {
  const { table } = repository;
  let written = expected.version;
  const guarded: Table = {
    get: async (pk, sk) => {
      const item = await table.get(pk, sk);
      if (pk === 'tasks' && sk === expected.id && item?.version !== written)
        throw new PgtwinError('conflict-of-versions', {
          field: 'header.if-match',
          detail: `The task was changed meanwhile: its version is ${item?.version}, not ${written}.`,
        });
      return item;
    },
    put: async (item, condition) => {
      const stored = await table.put(item, condition);
      if (stored && item.pk === 'tasks' && item.sk === expected.id) written = item.version;
      return stored;
    },
    query: (pk, options) => table.query(pk, options),
    remove: (pk, sk) => table.remove(pk, sk),
  };
  return new Repository(guarded, now);
}
