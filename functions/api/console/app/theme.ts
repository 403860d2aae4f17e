import { effect, signal } from '@preact/signals';

export const themes = ['system', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

const KEY = 'pgtwin-theme';
const dark = matchMedia('(prefers-color-scheme: dark)');
const systemIsDark = signal(dark.matches);
dark.addEventListener('change', () => {
  systemIsDark.value = dark.matches;
});

const kept = localStorage.getItem(KEY);
/** What was chosen. */
export const theme = signal<Theme>(themes.find((name) => name === kept) ?? 'system');
/** What is shown. */
export const shown = signal<'light' | 'dark'>('light');

effect(() => {
  const system = systemIsDark.value ? 'dark' : 'light';
  shown.value = theme.value === 'system' ? system : theme.value;
  document.documentElement.dataset['theme'] = shown.value;
});

export function setTheme(chosen: Theme): void {
  localStorage.setItem(KEY, chosen);
  theme.value = chosen;
}
