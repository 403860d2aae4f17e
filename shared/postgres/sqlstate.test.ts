import { expect, test } from 'vitest';
import { PgtwinError } from '../errors/pgtwin-error.ts';
import { translateOwn } from './sqlstate.ts';

test('what comes from the driver gets a code, whatever it says; what does not stays as it is', () => {
  const codeFor = (error: unknown) => (translateOwn(error) as PgtwinError).code;
  const coded = (code: string) => Object.assign(new Error('it says'), { code });
  expect(codeFor(new Error('Client has encountered a connection error and is not queryable'))).toBe(
    'database-unreachable',
  );
  expect(codeFor(coded('57P01'))).toBe('database-unreachable');
  expect(codeFor(coded('42P01'))).toBe('database-error');
  expect(codeFor(coded('XX000'))).toBe('database-error');
  expect(codeFor(coded('EPIPE'))).toBe('database-unreachable');
  for (const other of [coded('EPERM'), new TypeError('a bug'), new PgtwinError('slot-lost'), undefined])
    expect(translateOwn(other)).toBe(other);
});
