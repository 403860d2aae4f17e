import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { machineDiagram } from '../../test/support/machine-diagram.ts';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import { allowedInputs, moves, next, type TaskInput } from './machine.ts';
import { taskStates } from './schema.ts';

const inputs = [...new Set(Object.values(moves).flatMap((m) => Object.keys(m)))] as TaskInput[];

test('every pair of state and input gives a state of the table, or a refusal that names what is allowed', () => {
  for (const state of taskStates)
    for (const input of inputs) {
      if (moves[state][input] !== undefined) expect(taskStates).toContain(next({ state }, input).state);
      else {
        const refused = (() => {
          try {
            return next({ state }, input);
          } catch (error) {
            return error;
          }
        })();
        expect(refused).toBeInstanceOf(PgtwinError);
        expect((refused as PgtwinError).code).toBe('action-not-allowed');
        for (const allowed of allowedInputs(state))
          expect((refused as PgtwinError).message).toContain(allowed);
      }
    }
});

test('what interruptions return to is what was interrupted first, however they follow on each other', () => {
  const retrying = next({ state: 'Initializing' }, 'error');
  expect(retrying).toEqual({ state: 'Retrying', returnTo: 'Initializing' });
  const pausing = next(retrying, 'pause');
  expect(pausing).toEqual({ state: 'Pausing', returnTo: 'Initializing' });
  expect(next(next(pausing, 'paused'), 'resume')).toEqual({ state: 'Initializing' });
});

test('every state but Released can be released, and Released is the end', () => {
  for (const state of taskStates)
    if (state !== 'Released')
      expect(allowedInputs(state).some((i) => i === 'release' || i === 'released')).toBe(true);
  expect(allowedInputs('Released')).toEqual([]);
});

test('the README shows the machine as it is', () => {
  expect(readFileSync(new URL('../../README.md', import.meta.url), 'utf8')).toContain(machineDiagram());
});
