import { z } from 'zod';

const perSecond = (what: string) =>
  z.number().int().min(1).max(1e12).nullable().default(null).describe(`${what} per second; null: no limit`);

/** What a task may take from its source: the full copy and the stream of changes have limits of their own. */
export const loadLimits = z.strictObject({
  full: z
    .strictObject({
      queriesPerSecond: perSecond('queries that read rows, one a chunk,'),
      rowsPerSecond: perSecond('rows'),
      bytesPerSecond: perSecond('bytes, as COPY sends them,'),
    })
    .default({ queriesPerSecond: null, rowsPerSecond: null, bytesPerSecond: null }),
  incremental: z
    .strictObject({
      rowsPerSecond: perSecond('changes'),
      bytesPerSecond: perSecond('bytes of changes, as the server sends them,'),
    })
    .default({ rowsPerSecond: null, bytesPerSecond: null }),
});
export type LoadLimits = z.infer<typeof loadLimits>;
export type FullLimits = LoadLimits['full'];
export type IncrementalLimits = LoadLimits['incremental'];

export const noLimits: LoadLimits = {
  full: { queriesPerSecond: null, rowsPerSecond: null, bytesPerSecond: null },
  incremental: { rowsPerSecond: null, bytesPerSecond: null },
};

const changed = (what: string) =>
  z.number().int().min(1).max(1e12).nullable().optional().describe(`${what} per second; null: no limit`);

/** A change of limits (RFC 7396): what is left out stays as it is. */
export const limitsPatch = z
  .strictObject({
    full: z
      .strictObject({
        queriesPerSecond: changed('queries'),
        rowsPerSecond: changed('rows'),
        bytesPerSecond: changed('bytes'),
      })
      .optional(),
    incremental: z
      .strictObject({ rowsPerSecond: changed('changes'), bytesPerSecond: changed('bytes') })
      .optional(),
  })
  .refine((patch) => Object.values(patch).some((part) => part && Object.keys(part).length > 0), {
    message: 'names no limit',
  });
export type LimitsPatch = z.infer<typeof limitsPatch>;

/** The limits after a change. */
export const patchedLimits = (now: LoadLimits, patch: LimitsPatch): LoadLimits =>
  loadLimits.parse({
    full: { ...now.full, ...definite(patch.full) },
    incremental: { ...now.incremental, ...definite(patch.incremental) },
  });

const definite = (part: object = {}): object =>
  Object.fromEntries(Object.entries(part).filter(([, value]) => value !== undefined));
