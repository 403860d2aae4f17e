import { expect, test } from 'vitest';
import { runArguments } from './docker.ts';

test('the container is ours by label, has the engine, and answers at the same port inside and outside', () => {
  const args = runArguments(4567, { DEBUG: '1' });
  expect(args.at(-1)).toBe('localstack/localstack:4.9.2');
  expect(args).toEqual(
    expect.arrayContaining([
      'pgtwin=localstack',
      '127.0.0.1:4567:4567',
      'GATEWAY_LISTEN=0.0.0.0:4567',
      'SQS_ENDPOINT_STRATEGY=path',
      'DEBUG=1',
    ]),
  );
  expect(args.find((each) => each.endsWith(':/var/run/docker.sock'))).toBeDefined();
});
