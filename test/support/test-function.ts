import {
  CreateFunctionCommand,
  type CreateFunctionCommandInput,
  type LambdaClient,
} from '@aws-sdk/client-lambda';
import { build } from 'esbuild';
import { zip } from './zip.ts';

type TestFunction = Pick<CreateFunctionCommandInput, 'Environment' | 'Timeout' | 'MemorySize'> & {
  readonly name: string;
  /** TypeScript of a module that exports `handler`; it may import the packages of this project. */
  readonly source: string;
};

/** Bundles the source as the product's functions are bundled, and creates it as a Lambda function. Gives its ARN. */
export async function createFunction(
  lambda: LambdaClient,
  { name, source, ...more }: TestFunction,
): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: source, loader: 'ts', resolveDir: import.meta.dirname },
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'cjs',
    write: false,
  });
  const created = await lambda.send(
    new CreateFunctionCommand({
      FunctionName: name,
      Runtime: 'nodejs22.x',
      Handler: 'index.handler',
      Role: 'arn:aws:iam::000000000000:role/test',
      Code: { ZipFile: zip({ 'index.js': outputFiles[0]?.text ?? '' }) },
      Timeout: 10,
      ...more,
    }),
  );
  return created.FunctionArn ?? '';
}
