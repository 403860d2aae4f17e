import type { ComponentChildren, JSX } from 'preact';
import { wordsOf } from '../session.ts';
import type { Tone } from '../words.ts';
import { Button } from './button.tsx';

/** A box that says something. Errors are read out at once, the rest when the reader comes by. */
export function Notice({
  tone,
  title,
  children,
}: {
  tone: Tone;
  title?: string;
  children?: ComponentChildren;
}): JSX.Element {
  return (
    <div class={`notice ${tone}`} role={tone === 'bad' ? 'alert' : undefined}>
      {title && <p class="notice-title">{title}</p>}
      {children}
    </div>
  );
}

/** What the API refused or failed with, the way out, and a way to try again. */
export function Failure({
  error,
  title,
  onRetry,
}: {
  error: unknown;
  title?: string;
  onRetry?: () => void;
}): JSX.Element {
  const { detail, advice } = wordsOf(error);
  return (
    <Notice tone="bad" {...(title ? { title } : {})}>
      <p class="pre">{detail}</p>
      {advice && <p class="muted">{advice}</p>}
      {onRetry && (
        <p>
          <Button onClick={onRetry}>Try again</Button>
        </p>
      )}
    </Notice>
  );
}

/** Something is on its way. */
export function Loading({ what }: { what: string }): JSX.Element {
  return (
    <p class="loading" role="status">
      <span class="spinner" aria-hidden="true" /> Loading {what}…
    </p>
  );
}

/** There is nothing yet. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}
