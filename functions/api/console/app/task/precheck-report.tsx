import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { PrecheckItem, PrecheckReport } from '../../../../../shared/client/precheck-report.ts';
import type { Direction } from '../../../../../shared/task/schema.ts';
import { announce } from '../announce.ts';
import { Button } from '../parts/button.tsx';
import { CopyText } from '../parts/copy-text.tsx';
import { Failure } from '../parts/notice.tsx';
import { Badge } from '../parts/state.tsx';
import { api } from '../session.ts';
import { counted, destinationOf, sourceOf, type Tone, timeOf } from '../words.ts';

/** So few details are shown at once. */
const SHOWN = 5;

type Props = {
  readonly pair: string;
  readonly direction: Direction;
  readonly report: PrecheckReport;
  readonly onReport: (report: PrecheckReport) => void;
};

/** A report: what stands in the way first, with cause, SQL and the way to ignore; what passed is folded away. */
export function Report({ pair, direction, report, onReport }: Props): JSX.Element {
  const { items, ready, successRate, tables, at, milliseconds, ignored } = report;
  const passed = items.filter(({ status }) => status === 'passed');
  const open = items.filter(({ status }) => status !== 'passed');
  const weight = ({ ignored: isIgnored, status }: PrecheckItem): number =>
    isIgnored ? 2 : status === 'failed' ? 0 : 1;
  const sorted = [...open].sort((one, other) => weight(one) - weight(other));
  return (
    <>
      <p class="report-head">
        <Badge tone={ready ? 'good' : 'bad'}>{ready ? 'Ready to start' : 'Not ready'}</Badge>
        <span>
          Success rate <strong>{successRate} %</strong> · {counted(items.length, 'item')} ·{' '}
          {counted(tables, 'table')} · {timeOf(at)}, in {(milliseconds / 1000).toFixed(1)} s
        </span>
      </p>
      <ul class="items">
        {sorted.map((item) => (
          <Item
            key={item.item}
            item={item}
            who={ignored.find((each) => each.item === item.item)}
            {...{ pair, direction, onReport }}
          />
        ))}
      </ul>
      {passed.length > 0 && (
        <details class="passed">
          <summary>{counted(passed.length, 'item')} passed</summary>
          <ul class="items">
            {passed.map((item) => (
              <Item key={item.item} item={item} who={undefined} {...{ pair, direction, onReport }} />
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

const toneOf = ({ ignored, status }: PrecheckItem): Tone =>
  ignored ? 'neutral' : status === 'passed' ? 'good' : status === 'alert' ? 'warn' : 'bad';
const wordOf = ({ ignored, status }: PrecheckItem): string =>
  ignored ? 'Ignored' : status === 'passed' ? 'Passed' : status === 'alert' ? 'Alert' : 'Failed';

type ItemProps = Omit<Props, 'report'> & {
  readonly item: PrecheckItem;
  readonly who: PrecheckReport['ignored'][number] | undefined;
};

function Item({ item, who, pair, direction, onReport }: ItemProps): JSX.Element {
  const [busy, setBusy] = useState<'ignore' | 'run'>();
  const [error, setError] = useState<unknown>(undefined);
  const { item: name, title, status, cause, details, fix, ignorable, ignored } = item;
  const sideOf = (where: 'source' | 'destination') =>
    `${where}, side ${where === 'source' ? sourceOf(direction) : destinationOf(direction)}`;
  const change = async (what: 'ignore' | 'run'): Promise<void> => {
    setBusy(what);
    setError(undefined);
    try {
      const report =
        what === 'ignore'
          ? await api().ignoreItem(pair, direction, name)
          : await api().precheckTask(pair, direction, { items: [name] });
      announce(what === 'ignore' ? `${title}: ignored.` : `${title}: checked again.`);
      onReport(report);
    } catch (thrown) {
      setError(thrown);
    }
    setBusy(undefined);
  };
  return (
    <li class={`item ${toneOf(item)}`}>
      <div class="item-head">
        <Badge tone={toneOf(item)}>{wordOf(item)}</Badge>
        <h3>{title}</h3>
        <code class="muted">{name}</code>
      </div>
      <p class="pre">{cause}</p>
      {details.length > 0 && (
        <details open={status !== 'passed' && details.length <= SHOWN}>
          <summary>{counted(details.length, 'detail')}</summary>
          <ul>
            {details.map((detail) => (
              <li key={detail} class="pre">
                {detail}
              </li>
            ))}
          </ul>
        </details>
      )}
      {fix.map(({ side, sql }, n) => (
        <div key={`${side} ${sql}`}>
          <p class="small muted">On the {sideOf(side)}:</p>
          <CopyText text={sql} what={`SQL ${n + 1} for ${name}`} />
        </div>
      ))}
      {who && (
        <p class="small muted">
          Ignored by {who.by}, {timeOf(who.at)}
        </p>
      )}
      {error !== undefined && <Failure error={error} />}
      {status !== 'passed' && !ignored && (
        <div class="row">
          <Button
            needs="operator"
            busy={busy === 'run'}
            onClick={() => void change('run')}
            label={`Check again: ${name}`}
          >
            Check again
          </Button>
          {ignorable && (
            <Button
              busy={busy === 'ignore'}
              needs="operator"
              kind="quiet"
              onClick={() => void change('ignore')}
              label={`Ignore: ${name}`}
            >
              Ignore
            </Button>
          )}
        </div>
      )}
    </li>
  );
}
