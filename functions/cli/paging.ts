const LARGEST_PAGE = 500;

export const pageOptions = {
  limit: { type: 'string', value: 'N', help: 'the newest N (50)' },
  cursor: { type: 'string', value: 'CURSOR', help: 'where the last page ended; needs --task' },
} as const;

/** Up to `limit` entries, over as many pages as that takes, and where they end. */
export async function readPages<Entry>(
  limit: number,
  from: string | undefined,
  read: (page: {
    limit: number;
    cursor: string | undefined;
  }) => Promise<{ entries: Entry[]; next?: string | undefined }>,
): Promise<{ entries: Entry[]; next?: string }> {
  const entries: Entry[] = [];
  let cursor = from;
  do {
    const page = await read({ limit: Math.min(LARGEST_PAGE, limit - entries.length), cursor });
    entries.push(...page.entries);
    cursor = page.next;
  } while (cursor !== undefined && entries.length < limit);
  return cursor === undefined ? { entries } : { entries, next: cursor };
}
