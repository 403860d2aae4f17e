import { cpus, loadavg, totalmem } from 'node:os';
import type { Connection } from './databases.ts';
import type { HomeName } from './homes.ts';

/** What the figures were measured on; a run's load by others shows in its spread. */
export const machineFacts = (postgres: string, platform: HomeName, connection: Connection) => ({
  cores: cpus().length,
  processor: cpus()[0]?.model ?? '',
  memoryGb: Math.round(totalmem() / 2 ** 30),
  system: `${process.platform} ${process.arch}`,
  node: process.version,
  postgres,
  platform,
  connection,
  loadAtStart: loadavg().map((load) => Number(load.toFixed(2))),
});
