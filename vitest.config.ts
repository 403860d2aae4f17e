import { defineConfig } from 'vitest/config';

/**
 * Three projects by what they need: `unit` nothing, `pg` real PostgreSQL servers, `localstack` LocalStack too.
 * Tests are never retried: a flaky one is a bug.
 */
export default defineConfig({
  test: {
    passWithNoTests: false,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{functions,shared,infra,test,localstack}/**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/*.pg.test.ts', '**/*.localstack.test.ts'],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'pg',
          include: ['{functions,shared,infra,test}/**/*.pg.test.ts'],
          globalSetup: ['test/support/global-postgres.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 3,
        },
      },
      {
        test: {
          name: 'localstack',
          include: ['{localstack,infra,test}/**/*.localstack.test.ts'],
          globalSetup: ['test/support/global-postgres.ts', 'test/support/global-localstack.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
