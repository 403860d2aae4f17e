/** One bundle: from where, to where under `dist/`, and how it is run. */
export type Bundle = {
  readonly name: string;
  readonly entry: string;
  readonly output: string;
  readonly runs: 'lambda' | 'process' | 'command';
  /** Serves the web console: its files lie in the folder `console` beside the bundle. */
  readonly console?: true;
};

/** Every function's entry. Lambda takes the folder `dist/<name>` whole, with the handler `index.handler`. */
export const bundles: readonly Bundle[] = [
  { name: 'apply', entry: 'functions/apply/handler.ts', output: 'apply/index.mjs', runs: 'lambda' },
  { name: 'copy', entry: 'functions/copy/handler.ts', output: 'copy/index.mjs', runs: 'lambda' },
  {
    name: 'api',
    entry: 'functions/api/entry-lambda.ts',
    output: 'api/index.mjs',
    runs: 'lambda',
    console: true,
  },
  { name: 'monitor', entry: 'functions/monitor/handler.ts', output: 'monitor/index.mjs', runs: 'lambda' },
  {
    name: 'api-node',
    entry: 'functions/api/entry-node.ts',
    output: 'api-node/main.mjs',
    runs: 'process',
    console: true,
  },
  { name: 'capture', entry: 'functions/capture/main.ts', output: 'capture/main.mjs', runs: 'process' },
  { name: 'cli', entry: 'functions/cli/main.ts', output: 'cli/main.mjs', runs: 'command' },
];
