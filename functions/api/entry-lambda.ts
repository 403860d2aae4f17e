import { handle } from 'hono/aws-lambda';
import { createApp } from './app.ts';
import { depsFromEnvironment } from './from-environment.ts';

type Handler = ReturnType<typeof handle>;
let opened: Promise<Handler> | undefined;

const open = async (): Promise<Handler> => handle(createApp((await depsFromEnvironment()).deps));

/** The API behind a Lambda function URL. What the environment names is opened with the first request. */
export const handler: Handler = async (event, context) => {
  // A start that failed is tried again with the next request: a secret may be there by then.
  opened ??= open().catch((error: unknown) => {
    opened = undefined;
    throw error;
  });
  return (await opened)(event, context);
};
