import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

/** Something was not done, as it was meant for what is not so any more. Takes the focus. */
export function Changes({ changes, then }: { changes: readonly string[]; then: string }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => box.current?.focus(), [changes]);
  return (
    <div class="notice bad" role="alert" tabIndex={-1} ref={box}>
      <p class="notice-title">This has changed meanwhile</p>
      {changes.length > 0 && (
        <ul>
          {changes.map((change) => (
            <li key={change}>{change}</li>
          ))}
        </ul>
      )}
      <p>Nothing was done. {then}</p>
    </div>
  );
}
