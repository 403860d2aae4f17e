import { expect, test } from 'vitest';
import { Sent } from './sent.ts';

const refused = () => Promise.reject(Object.assign(new Error('aborted'), { code: '25P02' }));
const failed = (code: string) => Promise.reject(Object.assign(new Error('failed'), { code }));

test('the failure of what nobody waited for is told at the end, the first one', async () => {
  const sent = new Sent();
  sent.add(Promise.resolve());
  sent.add(failed('40P01'));
  sent.add(refused());
  await expect(sent.all()).rejects.toMatchObject({ code: '40P01' });
});

test('a statement that was refused behind a failure tells what that was', async () => {
  const sent = new Sent();
  sent.add(Promise.resolve());
  sent.add(failed('55006'));
  const later = await sent.add(refused()).catch((error: unknown) => error);
  expect(await sent.causeOf(later)).toMatchObject({ code: '55006' });
  // Nothing of it is left for the next transaction.
  await sent.all();
});

test('a failure of its own stays as it is', async () => {
  const sent = new Sent();
  sent.add(Promise.resolve());
  const own = new Error('own');
  expect(await sent.causeOf(own)).toBe(own);
});
