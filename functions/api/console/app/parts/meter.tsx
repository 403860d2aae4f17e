import type { JSX } from 'preact';

/** How far something is, as a bar with its number. */
export function Meter({ label, percent }: { label: string; percent: number }): JSX.Element {
  return (
    <div class="meter">
      <progress max={100} value={percent} aria-label={label} />
      <span class="meter-number">{percent.toFixed(1)} %</span>
    </div>
  );
}

/** Facts with their names. */
export function Facts({
  facts,
}: {
  facts: readonly (readonly [name: string, value: string | JSX.Element])[];
}): JSX.Element {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
