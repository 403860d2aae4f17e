import { type ApiClient, allPairs } from '../../shared/client/client.ts';
import type { PairView } from '../../shared/client/contract.ts';
import { asPgtwinError, PgtwinError } from '../../shared/errors/pgtwin-error.ts';
import { type Direction, directions } from '../../shared/task/schema.ts';
import { type Context, type OptionSpec, usageError } from './command.ts';

export const taskOption = {
  type: 'string',
  value: 'TASK',
  choices: directions,
  help: 'only this task',
} as const satisfies OptionSpec;
export const yesOption = { type: 'boolean', short: 'y', help: 'do not ask' } as const satisfies OptionSpec;

export const directionsOf = (task: Direction | undefined): readonly Direction[] =>
  task ? [task] : directions;

/** The pair of an id or a name; without one, the only pair there is. */
export async function pickPair(api: ApiClient, given: string | undefined): Promise<PairView> {
  if (given !== undefined && /^[a-z0-9]{4,20}$/.test(given)) {
    const found = await api.getPair(given).catch((error: unknown) => {
      if (asPgtwinError(error).code === 'not-found') return undefined;
      throw error;
    });
    if (found) return found;
  }
  const pairs = await allPairs(api);
  const fitting = given === undefined ? pairs : pairs.filter(({ name }) => name === given);
  const [only] = fitting;
  if (only && fitting.length === 1) return only;
  if (!only)
    throw new PgtwinError('not-found', {
      detail:
        given === undefined ? 'There is no pair yet.' : `There is no pair with the id or name ${given}.`,
      advice: given === undefined ? 'Make one with "pgtwin pair create".' : 'See "pgtwin pair list".',
    });
  const known = fitting.slice(0, 10).map(({ id, name }) => `${id} (${name})`);
  const more = fitting.length > 10 ? ', …' : '';
  throw usageError(`there are ${fitting.length} pairs, say which one: ${known.join(', ')}${more}`);
}

/** Asks before what can not be undone. Throws a usage error where nobody can answer, and without --yes. */
export async function confirm({ io }: Context, yes: boolean | undefined, question: string): Promise<void> {
  if (yes) return;
  if (!io.ask) throw usageError('needs --yes where nobody can be asked');
  const answer = await io.ask(`${question} [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim()))
    throw new PgtwinError('action-not-allowed', { detail: 'Not confirmed; nothing was done.', advice: '' });
}
