import type { JSX } from 'preact';
import type { PairView } from '../../../../../shared/client/contract.ts';
import type { Direction } from '../../../../../shared/task/schema.ts';
import { useLoad } from '../load.ts';
import { CopyText } from '../parts/copy-text.tsx';
import { Empty, Failure, Loading } from '../parts/notice.tsx';
import { href } from '../route.ts';
import { nameOfTask } from '../words.ts';

/** The configuration as it is stored, with all defaults. */
export function ConfigurationTab({ pair, direction }: { pair: PairView; direction: Direction }): JSX.Element {
  const task = pair.tasks[direction];
  const { value, error, reload } = useLoad(`task ${task.id} ${task.version}`, (client) =>
    client.getTask(pair.id, direction),
  );
  const editable = task.allowedActions.includes('configure');
  return (
    <>
      {error !== undefined && <Failure error={error} onRetry={reload} />}
      {!value && error === undefined && <Loading what="the configuration" />}
      {value && !value.config && <Empty title="This task is not configured yet" />}
      {editable && (
        <p>
          <a class="button" href={href('pairs', pair.id, 'setup', 'objects')}>
            {value?.config ? 'Change it' : 'Configure it'}
          </a>
        </p>
      )}
      {value?.config && (
        <>
          {!editable && <p class="muted">A task that was started keeps its configuration.</p>}
          <CopyText
            text={JSON.stringify(value.config, null, 2)}
            what={`configuration of the ${nameOfTask[direction].toLowerCase()}`}
          />
        </>
      )}
    </>
  );
}
