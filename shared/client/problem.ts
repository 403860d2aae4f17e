import { z } from 'zod';

export const fieldProblem = z.strictObject({
  field: z.string().describe('path of the field, such as sides.a.host'),
  message: z.string(),
});

/** An error answer (RFC 9457); `type` ends in a code of the error table. */
export const problem = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string().describe('what is wrong here, for a person'),
  advice: z.string().describe('the way out'),
  field: z.string().optional().describe('the field of the request that it is about'),
  errors: z.array(fieldProblem).optional().describe('every field that is wrong'),
});
export type Problem = z.infer<typeof problem>;
