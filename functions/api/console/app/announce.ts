import { signal } from '@preact/signals';

/** The last thing that a screen reader is told without being asked. */
export const announcement = signal('');

export function announce(text: string): void {
  // The same sentence twice is read twice only if the text differs.
  announcement.value = announcement.value === text ? `${text}\u00a0` : text;
}
