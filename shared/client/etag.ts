import type { Direction } from '../task/schema.ts';

type Versioned = { readonly direction: Direction; readonly version: number };

/** ETag of a task, for If-Match. */
export const etagOfTask = ({ version }: Pick<Versioned, 'version'>): string => `"${version}"`;

/** The version of a pair is that of its tasks, the forward one first: nothing else of it changes. */
export const etagOfPair = (tasks: readonly Versioned[]): string =>
  `"${tasks.map(({ direction, version }) => `${direction[0]}${version}`).join('.')}"`;
