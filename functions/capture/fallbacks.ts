import type { Queryable } from '../../shared/postgres/connect.ts';
import { originName } from '../../shared/postgres/names.ts';
import { comparesTimes } from '../../shared/task/conflict-config.ts';
import { destinationOf, type Pair, type Task, type TaskConfig } from '../../shared/task/schema.ts';
import { noOriginsNote } from './prepare.ts';

const abilitiesSql = /* sql */ `
  select has_parameter_privilege('session_replication_role', 'set') as replica,
         current_setting('track_commit_timestamp') = 'on' as times,
         has_function_privilege('pg_catalog.pg_replication_origin_session_setup(text)', 'execute')
           and exists (select from pg_catalog.pg_replication_origin where roname = $1) as origins`;

/** Only a look at both databases can tell: what was lost between the former stream and this one is in neither. */
export const restartedNote =
  'The task was restarted: it has copied again and kept the rows that were there. Whether both databases are identical is only known after a verification: it starts by itself once both tasks run, and the history says what it found (verify repair mends it); with one task alone, start it.';

/** The same where the restart was asked for with a repair. */
export const restartRepairedNote =
  'The task was restarted: it has copied again and kept the rows that were there. A verification that repairs what differs starts by itself once both tasks run; the history says what it found.';

/** What falls back to what on a task's destination, and what is weaker then; for the task's status. */
export async function readFallbacks(
  destination: Queryable,
  { pair, task, config }: { readonly pair: Pair; readonly task: Task; readonly config: TaskConfig },
): Promise<string[]> {
  const { rows } = await destination.query<{ replica: boolean; times: boolean; origins: boolean }>(
    abilitiesSql,
    [originName(task.id, 0)],
  );
  const { replica, times, origins } = rows[0]!;
  const decides = config.decide === 'each-side' || destinationOf(task.direction) === pair.arbiter;
  const compared = comparesTimes(config);
  return [
    ...(task.generation > 1 && config.types.full
      ? [task.verifyAfter ? restartRepairedNote : restartedNote]
      : []),
    ...(origins ? [] : [noOriginsNote]),
    ...(replica
      ? []
      : [
          'The account may not set session_replication_role: triggers and foreign keys of the destination act on applied rows once more.',
        ]),
    ...(times || !decides || compared.length === 0
      ? []
      : [
          `track_commit_timestamp is off on the destination, and ${compared.join(' and ')} compares times: they are not known of rows written there, so side ${config.preferredSide} wins. What counts as a conflict, and that both databases end identical, is the same.`,
        ]),
    ...(times || !decides
      ? []
      : [
          'track_commit_timestamp is off on the destination: more conflicts are logged as "unsure", with the kind that is suspected, for a row under a savepoint is told from others by its time.',
        ]),
    ...(config.decide === 'each-side'
      ? ['Each side decides conflicts for itself: the two databases may differ after one.']
      : []),
  ];
}
