import { expect, test } from 'vitest';
import { until } from './wait.ts';

test('gives what the probe found, and counts 0 and null as found', async () => {
  let calls = 0;
  expect(await until('the third call', async () => ++calls === 3 && `call ${calls}`)).toBe('call 3');
  expect(await until('a zero', async () => 0)).toBe(0);
  expect(await until('a null', async () => null)).toBe(null);
});

test('a time-out names the wish and what was seen last', async () => {
  const probe = async (saw: (value: unknown) => void): Promise<false> => {
    saw({ rows: 2n });
    return false;
  };
  const rows = until('three rows', probe, { timeoutMs: 20 });
  await expect(rows).rejects.toThrow('Waited 20 ms for three rows; last seen: {"rows":"2"}');
});

test('an error of the probe is thrown on, or waited out where errors are expected', async () => {
  const refuse = async (): Promise<boolean> => {
    throw new Error('refused');
  };
  await expect(until('a connection', refuse)).rejects.toThrow(/^refused$/);
  const patient = until('a connection', refuse, { timeoutMs: 20, tolerateErrors: true });
  await expect(patient).rejects.toThrow('Waited 20 ms for a connection; last seen: Error: refused');
});
