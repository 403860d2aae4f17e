import type { ComponentChildren, JSX } from 'preact';
import { may } from '../session.ts';

type Props = {
  readonly children: ComponentChildren;
  readonly onClick?: () => void;
  readonly kind?: 'primary' | 'danger' | 'plain' | 'quiet';
  readonly type?: 'button' | 'submit';
  readonly busy?: boolean;
  readonly disabled?: boolean;
  /** What it does, where its text alone does not say. */
  readonly label?: string;
  /** Who may do it: others are not offered it. */
  readonly needs?: 'operator' | 'admin';
};

/** While `busy` it stays reachable, and does nothing. */
export function Button({
  children,
  onClick,
  kind = 'plain',
  type = 'button',
  busy,
  disabled,
  label,
  needs,
}: Props): JSX.Element | null {
  if (needs && !may(needs)) return null;
  return (
    <button
      class={`button ${kind}`}
      type={type}
      disabled={disabled}
      aria-busy={busy ? 'true' : undefined}
      aria-disabled={busy ? 'true' : undefined}
      aria-label={label}
      onClick={(event) => {
        if (busy) event.preventDefault();
        else onClick?.();
      }}
    >
      {busy && <span class="spinner" aria-hidden="true" />}
      {children}
    </button>
  );
}
