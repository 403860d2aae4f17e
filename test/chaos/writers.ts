import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { codeOf, isConnectionError } from '../../shared/postgres/sqlstate.ts';
import { type Random, randomOf } from '../model/random.ts';
import { hotTransaction, ledgerTransaction, type Side, type Transaction } from './transactions.ts';

export type Writers = {
  /** From now on there are writes on this side. */
  begin(side: Side, url: string): void;
  /** The copy is over: from now on tables are truncated, too (a copy would be held up by it again and again). */
  copied(): void;
  /** Transactions that were committed, as far as their writers know. */
  readonly committed: number;
  /** Numbers of the ledger rows whose commit was acknowledged. */
  readonly acknowledged: Readonly<Record<Side, readonly number[]>>;
  stop(): Promise<void>;
};

const HOT_WRITERS = 2;

/**
 * Each writer has a sequence of its own, by the seed; how far it comes is the machine's. `slowness` stretches the pauses:
 * where a person answers conflicts there must be few.
 */
export function openWriters(seed: number, slowness: number): Writers {
  const stopping = new AbortController();
  const acknowledged: Record<Side, number[]> = { a: [], b: [] };
  const running: Promise<void>[] = [];
  let committed = 0;
  const state = { copied: false };
  const start = (
    number: number,
    [side, url]: readonly [Side, string],
    make: (random: Random, n: number) => Transaction,
    wrote: (n: number) => void = () => {},
  ): void => {
    const random = randomOf(seed * 1_000 + (side === 'a' ? 0 : 100) + number);
    const noted = (n: number): void => {
      committed += 1;
      wrote(n);
    };
    const next = (n: number): Transaction => {
      const transaction = make(random, n);
      const pauseMs = slowness * Math.max(transaction.pauseMs, slowness === 1 ? 0 : 10);
      return state.copied || !/^truncate/.test(transaction.statements[0]!)
        ? { ...transaction, pauseMs }
        : { statements: ['select'], pauseMs };
    };
    running.push(write(url, next, noted, stopping.signal));
  };
  return {
    begin(side, url) {
      for (let number = 0; number < HOT_WRITERS; number++)
        start(number, [side, url], (random, n) => hotTransaction(random, side, n * HOT_WRITERS + number));
      const make = (random: Random, n: number): Transaction => ledgerTransaction(random, side, n);
      start(50, [side, url], make, (n) => acknowledged[side].push(n));
    },
    copied() {
      state.copied = true;
    },
    get committed() {
      return committed;
    },
    acknowledged,
    async stop() {
      stopping.abort();
      await Promise.all(running);
    },
  };
}

/** Refused, as a user's transaction may be: a duplicate, a missing parent, a deadlock, a wait that was too long. */
const refused = /^(23505|23503|40P01|40001|55P03|57014)$/;

async function write(
  url: string,
  make: (n: number) => Transaction,
  wrote: (n: number) => void,
  signal: AbortSignal,
): Promise<void> {
  let client: pg.Client | undefined;
  for (let n = 1; !signal.aborted; n++) {
    const transaction = make(n);
    try {
      client ??= await connect(url, signal);
      if (!client) return;
      await carryOut(client, transaction);
      wrote(n);
    } catch (error) {
      if (!refused.test(codeOf(error)) && !isConnectionError(error)) throw error;
      if (
        isConnectionError(error) ||
        (await client?.query('rollback').catch(() => undefined)) === undefined
      ) {
        void client?.end().catch(() => {});
        client = undefined;
      }
    }
    await pause(transaction.pauseMs, undefined, { signal }).catch(() => {});
  }
  await client?.end().catch(() => {});
}

async function carryOut(client: pg.Client, { statements }: Transaction): Promise<void> {
  if (statements.length === 1) {
    await client.query(statements[0]!);
    return;
  }
  await client.query('begin');
  for (const statement of statements) await client.query(statement);
  await client.query('commit');
}

/** A server that restarts is waited for. */
async function connect(url: string, signal: AbortSignal): Promise<pg.Client | undefined> {
  while (!signal.aborted) {
    const client = new pg.Client({ connectionString: url, application_name: 'chaos writer' });
    client.on('error', () => {});
    try {
      await client.connect();
      return client;
    } catch (error) {
      if (!isConnectionError(error)) throw error;
      await client.end().catch(() => {});
      await pause(50, undefined, { signal }).catch(() => {});
    }
  }
  return undefined;
}
