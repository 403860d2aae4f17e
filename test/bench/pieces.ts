import { applyMessages } from '../../functions/apply/batch.ts';
import { readContext } from '../../functions/apply/context.ts';
import { openSession, type Session } from '../../functions/apply/session.ts';
import { SeenTracker } from '../../functions/capture/seen-state.ts';
import { openSource } from '../../functions/capture/source.ts';
import { took } from '../../functions/capture/stream-reader.ts';
import { openTable } from '../../shared/aws/table.ts';
import { openLog } from '../../shared/log/log.ts';
import type { Target } from '../../shared/postgres/connect.ts';
import { controlPublicationName, publicationName, slotName } from '../../shared/postgres/names.ts';
import { RecordDecoder } from '../../shared/stream/decode.ts';
import { limits } from '../../shared/stream/limits.ts';
import {
  compress,
  formatMessage,
  inlineRecords,
  type MessageHeader,
  parseMessage,
} from '../../shared/stream/message.ts';
import { lsnText } from '../../shared/stream/position.ts';
import { Repository } from '../../shared/task/repository.ts';
import { oneShardReader } from '../support/reader.ts';
import { awsCost } from './cost.ts';
import type { BenchDatabase } from './databases.ts';
import { differingTables, resetTables, writeMarker, writeTransactions } from './load.ts';
import type { Bench } from './rounds.ts';
import { median, rounded } from './statistics.ts';
import { cpuSeconds, difference } from './usage.ts';

const MESSAGES_PER_BATCH = 10;

/** Capture, encoding, decoding and apply, each alone: what none of the others slows down. */
export async function pieces(bench: Bench, transactions: number) {
  const results: Awaited<ReturnType<typeof piecesOnce>>[] = [];
  for (let round = 0; round < bench.rounds; round++) results.push(await piecesOnce(bench, transactions));
  const middle = (value: (of: (typeof results)[number]) => number) => rounded(median(results.map(value)));
  return {
    unit: 'rows per second',
    transactions,
    capture: middle((r) => r.capture),
    readBySql: middle((r) => r.readBySql),
    captureMegabytesPerSecond: middle((r) => r.captureMegabytes),
    decode: middle((r) => r.decode),
    encode: middle((r) => r.encode),
    apply: middle((r) => r.apply),
    bytesPerRow: middle((r) => r.bytesPerRow),
    messages: middle((r) => r.messages),
    awsDollarsPerGigabyte: middle((r) => r.cost.perGigabyte),
    awsDollarsPerMillionTransactions: middle((r) => r.cost.perMillionTransactions),
  };
}

async function piecesOnce({ databases, twin, scale, say, profile }: Bench, transactions: number) {
  const { a, b } = databases;
  const { platform } = twin.home;
  if (!platform) throw new Error('Work "pieces" is measured on the embedded platform only.');
  await twin.attach();
  const task = `${twin.pair}_f`;
  await twin.pause();
  await writeTransactions(a, transactions, scale);
  await writeMarker(a);

  const endProfile = await profile?.({ processes: () => ({ pieces: process.pid }) });
  const atA = () => cpuSeconds(databases, twin);
  const first = atA();
  const captured = await timed(() => capture(a, task));
  const sender = difference(first, atA())['server a'];
  const second = atA();
  const bulk = await timed(() => readBySql(a, task));
  const bySql = difference(second, atA())['server a'];
  const { bodies, rows, bytes } = captured.result;
  const packed = await timed(async () => {
    for (const body of bodies) compress(inlineRecords(parseMessage(body)));
  });
  const decoded = await timed(async () => {
    for (const body of bodies) new RecordDecoder().decode(inlineRecords(parseMessage(body)));
  });
  const before = cpuSeconds(databases, twin);
  const applied = await timed(() => apply(platform.env, b, task, bodies));
  const server = difference(before, cpuSeconds(databases, twin))['server b'];
  await endProfile?.();

  const differing = await differingTables(databases);
  const text = (name: string, { seconds, cpu }: Timed<unknown>) =>
    `${name} ${Math.round(rows / seconds)} rows/s (${seconds.toFixed(2)} s, processor ${cpu.toFixed(2)} s)`;
  say(
    `  ${[text('capture', captured), text('decode', decoded), text('apply', applied)].join(', ')}, server a ${sender} s, server b ${server} s, ${bodies.length} messages; ${text('by SQL', bulk)}, server a ${bySql} s` +
      (differing.length > 0 ? `, differing: ${differing.join(', ')}` : ', equal'),
  );
  await twin.detach();
  await resetTables(databases);
  const sent = bodies.reduce((sum, body) => sum + body.length, 0);
  return {
    capture: rows / captured.seconds,
    readBySql: rows / bulk.seconds,
    captureMegabytes: bytes / 1e6 / captured.seconds,
    encode: rows / packed.seconds,
    decode: rows / decoded.seconds,
    apply: rows / applied.seconds,
    bytesPerRow: sent / rows,
    messages: bodies.length,
    cost: awsCost({
      messageBytes: bodies.map((body) => body.length),
      applySeconds: applied.seconds,
      captureSeconds: captured.seconds,
      transactions,
      changeBytes: bytes,
    }),
  };
}

type Timed<Result> = { readonly result: Result; readonly seconds: number; readonly cpu: number };

async function timed<Result>(work: () => Promise<Result>): Promise<Timed<Result>> {
  const start = performance.now();
  const cpu = process.cpuUsage();
  const result = await work();
  const used = process.cpuUsage(cpu);
  return {
    result,
    seconds: (performance.now() - start) / 1000,
    cpu: (used.user + used.system) / 1e6,
  };
}

const targetOf = ({ server }: BenchDatabase): Target => {
  const { host, port, user, password } = server;
  return { host, port, user, password, database: 'bench', tls: 'disable' };
};

/** Reads all that the slot has into messages, which stay here; nothing is confirmed. */
async function capture(source: BenchDatabase, task: string) {
  const bodies: string[] = [];
  let rows = 0;
  let bytes = 0;
  const zero = '0000000000000000.00000000' as MessageHeader['previous'];
  let previous = zero;
  const { rows: now } = await source.client.query<{ lsn: string }>(
    /* sql */ `select (pg_current_wal_flush_lsn() - '0/0')::text as lsn`,
  );
  const end = BigInt(now[0]!.lsn);
  const reader = oneShardReader(new SeenTracker(), zero);
  const shard = reader.shards[0]!;
  const seal = () =>
    shard.seal((records, { span, seen }) => {
      const header = {
        ...{ v: 1, task, generation: 1, epoch: 1_000, shard: 0, config: 1, previous, seen },
        ...{ first: span.first, last: span.last, endLsn: lsnText(span.endLsn) },
        ...{ transactions: span.transactions, changes: span.changes, bytes: records.length },
      } as MessageHeader;
      bodies.push(formatMessage(header, compress(records)));
      previous = span.last;
      rows += span.changes;
      bytes += records.length;
    });
  await new Promise<void>((resolve, reject) => {
    const opened = openSource(
      {
        target: targetOf(source),
        slot: slotName(task),
        publications: [publicationName(task), controlPublicationName(task)],
        startLsn: 0n,
        origin: 'none',
      },
      {
        message(buffer, start, stop) {
          if (reader.take(buffer, start, stop) === took.kept && shard.records.length >= limits.sealBytes)
            seal();
        },
        keepalive(walEnd) {
          if (walEnd >= end) void opened.then((s) => s.close()).then(resolve, reject);
        },
        drained() {},
      },
    );
    opened.then((s) => s.sendStatus(0n, 0n, true), reject);
  });
  if (shard.transactions > 0) seal();
  return { bodies, rows, bytes };
}

/** Changes of one call: each reads WAL from the slot's restart position again. */
const PER_CALL = 200_000;

/** The other way to read a backlog, by functions in large pieces, through a copy of the slot; packed as messages are. */
async function readBySql(source: BenchDatabase, task: string): Promise<void> {
  const { client } = source;
  const reader = 'bench_reader';
  await client.query(/* sql */ `select pg_copy_logical_replication_slot($1, $2, true)`, [
    slotName(task),
    reader,
  ]);
  const names = `"${publicationName(task)}","${controlPublicationName(task)}"`;
  for (;;) {
    const { rows } = await client.query<{ n: number; changes: Buffer | null }>(
      /* sql */ `select count(*)::int as n, string_agg(int4send(length(data)) || data, '') as changes
                   from pg_logical_slot_get_binary_changes($1, null, ${PER_CALL}, 'proto_version', '2',
                                                           'publication_names', $2, 'origin', 'none')`,
      [reader, names],
    );
    const { n, changes } = rows[0]!;
    if (n === 0 || !changes) break;
    for (let at = 0; at < changes.length; at += limits.sealBytes)
      compress(changes.subarray(at, at + limits.sealBytes));
  }
  await client.query(/* sql */ `select pg_drop_replication_slot($1)`, [reader]);
}

/** Applies ready messages, as many at once as an invocation gets. */
async function apply(
  env: Readonly<Record<string, string>>,
  destination: BenchDatabase,
  task: string,
  bodies: readonly string[],
): Promise<void> {
  const table = openTable(env['PGTWIN_TABLE']!, {
    endpoint: env['AWS_ENDPOINT_URL_DYNAMODB']!,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  const context = await readContext(new Repository(table), task, Date.now());
  let session: Session | undefined;
  try {
    session = await openSession({
      target: targetOf(destination),
      task,
      shard: 0,
      synchronousCommit: context.config.synchronousCommit,
      objects: () => context.objects,
    });
    for (let i = 0; i < bodies.length; i += MESSAGES_PER_BATCH) {
      const messages = bodies.slice(i, i + MESSAGES_PER_BATCH).map(parseMessage);
      const blobs = { put: none, get: none, deletePrefix: none } as never;
      const { gap, conflicts } = await applyMessages(messages, {
        session,
        settings: context.settings,
        blobs,
        log: openLog({ levels: 'warn', area: 'bench' }),
      });
      if (gap || conflicts > 0) throw new Error(`A gap: ${gap}; conflicts: ${conflicts}.`);
    }
  } finally {
    await session?.close();
  }
}

const none = (): never => {
  throw new Error('No part was stored.');
};
