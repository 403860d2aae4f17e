// The layers of the code, held by the linter: data flows capture -> stream format -> apply, imports only downwards.
const functionNames = ['capture', 'apply', 'copy', 'api', 'monitor', 'cli'];
const below = {
  errors: [],
  log: ['errors'],
  config: ['errors', 'log'],
  postgres: ['errors', 'log', 'config'],
  stream: ['errors', 'log', 'config', 'postgres'],
  conflict: ['errors', 'log', 'config', 'postgres', 'stream'],
  task: ['errors', 'log', 'config', 'postgres', 'stream', 'conflict'],
};
module.exports = {
  forbidden: [
    ...functionNames.map((name) => ({
      name: `function-${name}-imports-no-other`,
      severity: 'error',
      from: { path: `^functions/${name}/` },
      to: { path: '^functions/', pathNot: `^functions/${name}/` },
    })),
    ...Object.entries(below).map(([name, allowed]) => ({
      name: `shared-${name}-imports-downwards`,
      severity: 'error',
      from: { path: `^shared/${name}/`, pathNot: '[.]test[.]ts$' },
      to: { path: '^shared/', pathNot: `^shared/(${[name, ...allowed].join('|')})/` },
    })),
    {
      name: 'shared-stands-alone',
      severity: 'error',
      from: { path: '^shared/' },
      to: { path: '^(functions|infra|test|localstack)/' },
    },
    {
      name: 'functions-know-no-infra',
      severity: 'error',
      from: { path: '^functions/' },
      to: { path: '^(infra|test|localstack)/' },
    },
    {
      name: 'aws-sdk-only-in-its-adapters',
      severity: 'error',
      from: { path: '^(functions|shared)/', pathNot: '^shared/aws/' },
      to: { path: '@aws-sdk/' },
    },
    {
      name: 'replication-library-only-in-source',
      severity: 'error',
      from: { path: '^(functions|shared)/', pathNot: '^functions/capture/source[.]ts$' },
      to: { path: 'pg-logical-replication' },
    },
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    exclude: { path: 'node_modules' },
  },
};
