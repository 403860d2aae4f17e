import { slotName } from '../../../../shared/postgres/names.ts';
import { comparesTimes } from '../../../../shared/task/conflict-config.ts';
import { alert, type Check, failed, fixOn, passed } from '../check.ts';

const NEWEST_TRIED = 18;

export const tls: Check = {
  item: 'tls',
  title: 'TLS mode of both connections',
  run: async ({ source, destination }) => {
    const open = [source, destination].filter(
      ({ target, server }) => !server.encrypted && !isLocal(target.host),
    );
    const details = [source, destination].map(
      ({ role, target, server }) =>
        `${role}: mode ${target.tls}, the connection is ${server.encrypted ? 'encrypted' : 'not encrypted'}`,
    );
    return open.length === 0
      ? passed('Both connections are encrypted, or stay on this machine.', details)
      : alert(`The connection to the ${open.map(({ role }) => role).join(' and the ')} is not encrypted.`, {
          details: [
            ...details,
            'Create the pair with tls "require" or "verify-full" if the server offers TLS.',
          ],
        });
  },
};

const isLocal = (host: string): boolean =>
  host.startsWith('/') || ['localhost', '127.0.0.1', '::1'].includes(host.toLowerCase());

export const serverVersion: Check = {
  item: 'server-version',
  title: 'Versions of both servers',
  run: async ({ source, destination }) => {
    const major = (of: typeof source) => Math.floor(of.server.versionNumber / 10_000);
    const details = [source, destination].map(({ role, server }) => `${role}: PostgreSQL ${server.version}`);
    const newer = [source, destination].filter((each) => major(each) > NEWEST_TRIED);
    if (newer.length > 0)
      return alert(
        `PostgreSQL ${major(newer[0]!)} is newer than ${NEWEST_TRIED}, the newest that was tried.`,
        {
          details,
        },
      );
    return passed('Both servers are supported.', details);
  },
};

export const writable: Check = {
  item: 'writable',
  title: 'Both servers accept writes',
  run: async ({ source, destination }) => {
    const standbys = [source, destination].filter(({ server }) => server.inRecovery);
    return standbys.length === 0
      ? passed('Neither server is a standby.')
      : failed(
          `The ${standbys.map(({ role }) => role).join(' and the ')} is a standby: pgtwin writes there.`,
          {
            fix: standbys.map(({ role }) => fixOn(role, /* sql */ `select pg_promote();`)),
            details: ['Or create the pair with the address of the primary server.'],
          },
        );
  },
};

const timelineSql = /* sql */ `select timeline_id::int as timeline from pg_control_checkpoint()`;

export const serverIdentity: Check = {
  item: 'server-identity',
  title: 'The servers are those that the slots were made on',
  run: async ({ source, destination, prepared }) => {
    const read = async (of: typeof source) => ({
      systemId: of.server.systemId,
      timeline: (await of.rows<{ timeline: number }>(timelineSql))[0]!.timeline,
    });
    const [here, there] = await Promise.all([read(source), read(destination)]);
    const details = [
      `source: system ${here.systemId}, timeline ${here.timeline}`,
      `destination: system ${there.systemId}, timeline ${there.timeline}`,
    ];
    if (!prepared) return passed('There is no slot yet.', details);
    if (prepared.systemId === here.systemId && prepared.timeline === here.timeline)
      return passed('The source is the server that the slot was made on.', details);
    return failed('The source is another server, or another timeline, than the slot was made on.', {
      details: [
        ...details,
        `the slot: system ${prepared.systemId}, timeline ${prepared.timeline}`,
        'Positions of two servers do not compare: release the task, and make the pair anew.',
      ],
    });
  },
};

export const serverTime: Check = {
  item: 'server-time',
  title: 'Clocks of both servers',
  run: async ({ source, destination, limits }) => {
    const nowSql = /* sql */ `select extract(epoch from clock_timestamp())::float8 as now`;
    const read = async (of: typeof source) => {
      const [row] = await of.rows<{ now: number }>(nowSql);
      return row!.now - performance.now() / 1000;
    };
    // Each relative to our own clock, read after the answer, so that only the round trips differ.
    const seconds = (await read(destination)) - (await read(source));
    const text = `The destination's clock is ${Math.abs(seconds).toFixed(2)} s ${seconds < 0 ? 'behind' : 'ahead of'} the source's.`;
    return Math.abs(seconds) <= limits.clockDifferenceSeconds
      ? passed(text)
      : alert(text, {
          details: [
            'Policies that compare times (last-write-wins, by-time) and the latency shown suffer from it. Use NTP.',
          ],
        });
  },
};

export const walLevel: Check = {
  item: 'wal-level',
  title: 'wal_level of the source is logical',
  run: async ({ source }) => {
    const [row] = await source.rows<{ level: string }>(
      /* sql */ `select current_setting('wal_level') as level`,
    );
    return row?.level === 'logical'
      ? passed('wal_level is logical.')
      : failed(`wal_level is ${row?.level}: changes can not be decoded from the WAL.`, {
          fix: [fixOn('source', /* sql */ `alter system set wal_level = 'logical';`)],
          details: [
            'The server must be restarted after it (pg_ctl restart, or a reboot of a managed instance).',
          ],
        });
  },
};

const slotsSql = /* sql */ `
select current_setting('max_replication_slots')::int as slots, current_setting('max_wal_senders')::int as senders,
  (select count(*) from pg_replication_slots where slot_name <> $1)::int as "usedSlots",
  (select count(*) from pg_stat_replication)::int as "usedSenders",
  exists (select from pg_replication_slots where slot_name = $1) as own`;
type Slots = { slots: number; senders: number; usedSlots: number; usedSenders: number; own: boolean };

export const replicationSlots: Check = {
  item: 'replication-slots',
  title: 'Free replication slots and WAL senders on the source',
  run: async ({ source, task }) => {
    const [found] = await source.rows<Slots>(slotsSql, [slotName(task.id)]);
    const { slots, senders, usedSlots, usedSenders, own } = found!;
    const details = [
      `slots: ${usedSlots} of ${slots} used`,
      `WAL senders: ${usedSenders} of ${senders} used`,
    ];
    const settings = [
      ...(slots - usedSlots < 1 ? [{ name: 'max_replication_slots', value: Math.max(10, slots + 4) }] : []),
      ...(senders - usedSenders < 1 && !own
        ? [{ name: 'max_wal_senders', value: Math.max(10, senders + 4) }]
        : []),
    ];
    return settings.length === 0
      ? passed('A slot and a WAL sender are free.', details)
      : failed(`No more room: ${settings.map(({ name }) => name).join(', ')}.`, {
          fix: settings.map(({ name, value }) => fixOn('source', `alter system set ${name} = ${value};`)),
          details: [...details, 'The server must be restarted after it.'],
        });
  },
};

const retentionSql = /* sql */ `
select (select setting::bigint * 1024 * 1024 from pg_settings where name = 'max_slot_wal_keep_size') as "keptBytes",
  coalesce((select setting::int from pg_settings where name = 'idle_replication_slot_timeout'), 0) as "idleLimit"`;

export const walRetention: Check = {
  item: 'wal-retention',
  title: 'The source keeps the WAL that a slot needs',
  run: async ({ source, limits }) => {
    const [row] = await source.rows<{ keptBytes: number; idleLimit: number }>(retentionSql);
    const { keptBytes, idleLimit } = row!;
    const limited = keptBytes >= 0 && keptBytes < limits.smallestKeptWalBytes;
    const kept = keptBytes < 0 ? 'without limit' : `up to ${Math.round(keptBytes / 2 ** 20)} MB`;
    if (!limited && idleLimit === 0)
      return passed(`A slot keeps WAL ${kept}.`, ['The disk must have room for a pause.']);
    return alert(
      limited
        ? `A slot keeps WAL ${kept} only: a longer pause or a long full copy loses the slot.`
        : 'A slot that is idle for a while is invalidated: a longer pause loses it.',
      {
        fix: [
          ...(limited ? [fixOn('source', /* sql */ `alter system set max_slot_wal_keep_size = -1;`)] : []),
          ...(idleLimit > 0
            ? [fixOn('source', /* sql */ `alter system set idle_replication_slot_timeout = 0;`)]
            : []),
          fixOn('source', /* sql */ `select pg_reload_conf();`),
        ],
      },
    );
  },
};

const encodingSql = /* sql */ `
select pg_encoding_to_char(encoding) as encoding from pg_database where datname = current_database()`;

export const encoding: Check = {
  item: 'encoding',
  title: 'Encodings of both databases',
  run: async ({ source, destination }) => {
    const read = async (of: typeof source) => (await of.rows<{ encoding: string }>(encodingSql))[0]!.encoding;
    const [from, to] = await Promise.all([read(source), read(destination)]);
    const details = [`source: ${from}`, `destination: ${to}`];
    if (from === 'SQL_ASCII' || to === 'SQL_ASCII')
      return failed(
        'A database of encoding SQL_ASCII does not know what its bytes mean: text can not be converted.',
        {
          details: [...details, 'Dump the database and restore it into one of encoding UTF8.'],
        },
      );
    if (from === to || to === 'UTF8')
      return passed('Every character of the source exists on the destination.', details);
    return alert(`A character that ${to} does not have stops the task when it arrives.`, { details });
  },
};

export const commitTimestamp: Check = {
  item: 'commit-timestamp',
  title: 'track_commit_timestamp where times decide',
  run: async ({ source, destination, config }) => {
    const reasons = comparesTimes(config);
    const read = async (of: typeof source) =>
      (
        await of.rows<{ on: boolean }>(
          /* sql */ `select current_setting('track_commit_timestamp')::bool as on`,
        )
      )[0]!.on;
    const off = [];
    for (const each of [source, destination]) if (!(await read(each))) off.push(each);
    if (off.length === 0) return passed('track_commit_timestamp is on.');
    if (reasons.length === 0)
      return passed('track_commit_timestamp is off, and nothing here compares times.', [
        'last-write-wins and onDeleted by-time would need it.',
      ]);
    return failed(`track_commit_timestamp is off, and ${reasons.join(' and ')} compares commit times.`, {
      ignorable: true,
      fix: off.map(({ role }) => fixOn(role, /* sql */ `alter system set track_commit_timestamp = on;`)),
      details: [
        'The server must be restarted after it. Rows from before have no time and count as oldest.',
        `If this is ignored: a row of the side that decides has no time, and the preferred side wins; ${stillTrue}`,
      ],
    });
  },
};

/** What does not depend on times. */
const stillTrue = 'what counts as a conflict, and that both databases end identical, is the same.';

const longSql = /* sql */ `
select pid, coalesce(usename::text, '') as "user", extract(epoch from now() - xact_start)::int as seconds
from pg_stat_activity
where xact_start < now() - make_interval(secs => $1) and pid <> pg_backend_pid() and backend_type = 'client backend'
  and (backend_xid is not null or backend_xmin is not null)
order by xact_start`;
const preparedSql = /* sql */ `
select gid, extract(epoch from now() - prepared)::int as seconds, database::text as database
from pg_prepared_xacts where prepared <= now() - make_interval(secs => $1) order by prepared`;

export const longTransactions: Check = {
  item: 'long-transactions',
  title: 'No long-running or prepared transactions on the source',
  run: async ({ source, limits }) => {
    const most = limits.longTransactionSeconds;
    const long = await source.rows<{ pid: number; user: string; seconds: number }>(longSql, [most]);
    const prepared = await source.rows<{ gid: string; seconds: number; database: string }>(preparedSql, [
      most,
    ]);
    if (long.length + prepared.length === 0) return passed(`No transaction is older than ${most} s.`);
    const rollbacks = prepared.filter(({ database }) => database === source.target.database);
    return alert('A slot can not be made before these transactions end, and WAL piles up meanwhile.', {
      fix: [
        ...long.map(({ pid }) => fixOn('source', `select pg_terminate_backend(${pid});`)),
        ...rollbacks.map(({ gid }) => fixOn('source', `rollback prepared '${gid.replaceAll("'", "''")}';`)),
      ],
      details: [
        ...long.map(({ pid, user, seconds }) => `process ${pid} of ${user}: for ${seconds} s`),
        ...prepared.map(({ gid, seconds, database }) => `prepared ${gid} in ${database}: for ${seconds} s`),
      ],
    });
  },
};

const failoverSql = /* sql */ `
select current_setting('sync_replication_slots', true) as sync,
  (select count(*) from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid
   where s.slot_type = 'physical')::int as standbys`;

export const slotFailover: Check = {
  item: 'slot-failover',
  title: 'The slot survives a switchover of the source',
  run: async ({ source }) => {
    const [row] = await source.rows<{ sync: string | null; standbys: number }>(failoverSql);
    if (!row || row.standbys === 0) return passed('The source has no standby with a slot of its own.');
    const named = source.server.versionNumber >= 170000;
    return alert(
      'The source has a standby: after a switchover the slot is missing there and the task must restart.',
      {
        details: [
          named
            ? 'Set sync_replication_slots = on and hot_standby_feedback = on on the standby, and synchronized_standby_slots here.'
            : 'PostgreSQL 17 and newer can keep slots on standbys.',
          `standbys: ${row.standbys}`,
        ],
      },
    );
  },
};
