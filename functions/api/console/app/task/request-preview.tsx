import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { Direction } from '../../../../../shared/task/schema.ts';
import { useLoad } from '../load.ts';
import { CopyText } from '../parts/copy-text.tsx';
import { Failure, Loading } from '../parts/notice.tsx';

type Props = { readonly operation: string; readonly pair: string; readonly direction: Direction };

/** The exact request that an action is, read when it is asked for. */
export function RequestPreview(props: Props): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>The request</summary>
      {open && <Request {...props} />}
    </details>
  );
}

function Request({ operation, pair, direction }: Props): JSX.Element {
  const { value, error } = useLoad(`${operation} ${pair} ${direction}`, (client) =>
    client.previewAction({ operation, id: pair, direction }),
  );
  if (error !== undefined) return <Failure error={error} />;
  if (!value) return <Loading what="the request" />;
  return <CopyText text={value.curl} what="request as a command" />;
}
