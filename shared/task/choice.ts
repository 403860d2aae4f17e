import { createHash } from 'node:crypto';
import { z } from 'zod';
import { removeAll } from './prepared.ts';
import type { Table } from './table.ts';

/**
 * A person's answer to a conflict that stopped a task, bound to its positions and key; kept in the task's partition
 * ('choice#<first position>#<hash>'). The key itself is a user's data and stays in the database: here is its hash.
 */
export const choice = z.strictObject({
  v: z.literal(1),
  generation: z.number().int(),
  conflict: z.string().describe('id in the conflict log'),
  first: z.string().describe('position of the first change that the conflict stands for'),
  last: z.string().describe('and of the last'),
  key: z.string().describe('hash of table and key'),
  take: z.enum(['source', 'destination']),
  by: z.string(),
  at: z.string(),
});
export type Choice = z.infer<typeof choice>;

/** The hash of a row's key, whatever the order of its columns. */
export function keyHash(
  { schema, name }: { readonly schema: string; readonly name: string },
  key: Readonly<Record<string, string>>,
): string {
  const parts = Object.entries(key).sort(([one], [other]) => (one < other ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([schema, name, parts]))
    .digest('hex')
    .slice(0, 32);
}

/** Stores a choice over an earlier one for the same conflict. */
export async function saveChoice(table: Table, taskId: string, value: Choice): Promise<void> {
  const sk = `choice#${value.first}#${value.key}`;
  await table.put({ pk: taskId, sk, version: 1, body: value }, 'any');
}

/** The choices of one run of a task. */
export async function readChoices(table: Table, taskId: string, generation: number): Promise<Choice[]> {
  const choices: Choice[] = [];
  let after: string | undefined;
  do {
    const page = await table.query(taskId, { prefix: 'choice#', ...(after ? { after } : {}) });
    for (const { body } of page.items) {
      const parsed = choice.safeParse(body);
      if (parsed.success && parsed.data.generation === generation) choices.push(parsed.data);
    }
    after = page.next;
  } while (after);
  return choices;
}

/** Positions of other runs mean nothing, and those below the watermark were carried out. */
export const removeChoices = (table: Table, taskId: string): Promise<void> =>
  removeAll(table, taskId, 'choice#');

/**
 * The choice for a change that stands for the source's changes of one key from `first` to `last`: however a batch is
 * cut, a change that the conflict stood for finds it.
 */
export const findChoice = (
  choices: readonly Choice[],
  first: string,
  last: string,
  hashes: () => readonly string[],
): Choice['take'] | undefined => {
  const near = choices.filter((each) => each.first <= last && first <= each.last);
  if (near.length === 0) return undefined;
  const keys = hashes();
  return near.findLast((each) => keys.includes(each.key))?.take;
};
