import type { Command } from './command.ts';
import { actionCommands } from './commands/actions.ts';
import { audit } from './commands/audit.ts';
import { configure, objects, preview } from './commands/configure.ts';
import { listConflicts, resolveConflict, showConflict } from './commands/conflicts.ts';
import { cutover } from './commands/cutover.ts';
import { events } from './commands/events.ts';
import { limits } from './commands/limits.ts';
import { openApi } from './commands/open-api.ts';
import { createPair, deletePair, listPairs, showPair } from './commands/pair.ts';
import { precheck, testConnectivity } from './commands/precheck.ts';
import { taskStatus } from './commands/status.ts';
import {
  cancelVerification,
  repairVerification,
  startVerification,
  verifyReport,
  verifyStatus,
} from './commands/verify.ts';

/** All commands, in the order in which a user comes to need them. */
export const commands: readonly Command[] = [
  createPair,
  listPairs,
  showPair,
  deletePair,
  testConnectivity,
  preview,
  objects,
  configure,
  precheck,
  ...actionCommands,
  taskStatus,
  limits,
  events,
  listConflicts,
  showConflict,
  resolveConflict,
  startVerification,
  verifyStatus,
  verifyReport,
  repairVerification,
  cancelVerification,
  cutover,
  audit,
  openApi,
];
