import { join, resolve } from 'node:path';
import { App, Tags, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { CaptureStack } from './capture-stack.ts';
import { ServerlessStack } from './serverless-stack.ts';
import { readSettings } from './settings.ts';

const project = resolve(import.meta.dirname, '../..');

export type Stacks = { readonly serverless: ServerlessStack; readonly capture: CaptureStack };

/** Both stacks, from the settings in the app's context. `dist` is where the bundles are. */
export function addStacks(app: App, dist = join(project, 'dist')): Stacks {
  const settings = readSettings(app);
  const serverless = new ServerlessStack(app, 'serverless', {
    settings,
    dist,
  });
  const capture = new CaptureStack(app, 'capture', { settings, serverless, project });
  Tags.of(app).add('pgtwin', settings.prefix);
  return { serverless, capture };
}

/** Synthesis fails on any finding of the AWS Solutions rules that is not acknowledged with a reason. */
if (import.meta.main) {
  const app = new App();
  const dist = app.node.tryGetContext('dist') as string | undefined;
  addStacks(app, dist);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  app.synth();
}
