import type { JSX } from 'preact';
import { href } from '../route.ts';

export const steps = ['connect', 'objects', 'settings', 'precheck', 'start'] as const;
export type Step = (typeof steps)[number];
const words: Readonly<Record<Step, string>> = {
  connect: 'Connect',
  objects: 'Objects',
  settings: 'Settings',
  precheck: 'Precheck',
  start: 'Start',
};

/** Where one is in the procedure. With a pair, steps before the current one can be gone back to. */
export function Steps({ current, pair }: { current: Step; pair?: string }): JSX.Element {
  const at = steps.indexOf(current);
  return (
    <nav aria-label="Steps of the setup">
      <ol class="steps">
        {steps.map((step, n) => {
          const state = n < at ? 'done' : n === at ? 'current' : 'later';
          const text = (
            <>
              <span class="step-number" aria-hidden="true">
                {n < at ? '✓' : n + 1}
              </span>
              {words[step]}
              {n < at && <span class="unseen"> (done)</span>}
            </>
          );
          return (
            <li key={step} class={state} aria-current={n === at ? 'step' : undefined}>
              {pair && n < at ? <a href={href('pairs', pair, 'setup', step)}>{text}</a> : <span>{text}</span>}
            </li>
          );
        })}
      </ol>
    </nav>
  );
}
