import { z } from 'zod';
import { syntaxError } from './expression.ts';

const name63 = z.string().min(1).max(63);
const expression = z
  .string()
  .min(1)
  .max(2000)
  .superRefine((text, context) => {
    const wrong = syntaxError(text);
    if (wrong !== undefined) context.addIssue({ code: 'custom', message: wrong });
  });
const type = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[\w". ]+(\(\d+(, ?\d+)?\))?(\[\])?$/, 'must be the name of a PostgreSQL type')
  .describe('a PostgreSQL type, like numeric(10,2)');

/** One step of what is done to a table's rows in flight. */
export const etlStep = z.discriminatedUnion('step', [
  z.strictObject({ step: z.literal('drop'), column: name63 }),
  z.strictObject({ step: z.literal('rename'), column: name63, to: name63 }),
  z.strictObject({ step: z.literal('cast'), column: name63, type }),
  z.strictObject({
    step: z.literal('set'),
    column: name63.describe('one that is there, or a new one, which needs a type'),
    value: expression.describe('CEL over the columns; null if a column that it uses is null'),
    type: type.optional(),
  }),
  z.strictObject({
    step: z.literal('filter'),
    keep: expression.describe('CEL; rows for which it is not true are left out'),
  }),
]);
export type EtlStep = z.infer<typeof etlStep>;
