import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { fieldErrorsOf } from '../field-errors.ts';
import { wordsOf } from '../session.ts';

/** What was refused, over a form: every field by name, also those that have no input here. Takes the focus. */
export function ErrorSummary({ error }: { error: unknown }): JSX.Element | null {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (error !== undefined) box.current?.focus();
  }, [error]);
  if (error === undefined) return null;
  const { all } = fieldErrorsOf(error);
  const { detail, advice } = wordsOf(error);
  return (
    <div class="notice bad" role="alert" tabIndex={-1} ref={box}>
      <p class="notice-title">{all.length > 1 ? `${all.length} fields are not right` : 'This was refused'}</p>
      {all.length > 1 ? (
        <ul>
          {all.map(({ field, message }) => (
            <li key={field}>
              <code>{field || 'the request'}</code> {message}
            </li>
          ))}
        </ul>
      ) : (
        <p class="pre">{detail}</p>
      )}
      {advice && <p class="muted">{advice}</p>}
    </div>
  );
}
