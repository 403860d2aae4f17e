import { join, resolve } from 'node:path';
import { App, Tags, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { CaptureStack } from './capture-stack.ts';
import { ServerlessStack } from './serverless-stack.ts';
import { readSettings } from './settings.ts';

export type Stacks = { readonly serverless: ServerlessStack; readonly capture: CaptureStack };

export type Places = {
  /** Where the bundles of the functions are; `dist` of the project if left out. */
  readonly dist?: string | undefined;
  /** What the image of the capture is built from. */
  readonly project?: string;
};

/** Both stacks, from the settings in the app's context. */
export function addStacks(app: App, places: Places = {}): Stacks {
  const { project = resolve(import.meta.dirname, '../..') } = places;
  const dist = places.dist ?? join(project, 'dist');
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
  addStacks(app, { dist: app.node.tryGetContext('dist') as string | undefined });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  app.synth();
}
