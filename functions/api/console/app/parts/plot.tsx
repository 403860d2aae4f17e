import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { shown } from '../theme.ts';

type Props = {
  readonly title: string;
  /** In words, for those who can not see it. */
  readonly summary: string;
  /** Seconds since 1970. */
  readonly times: readonly number[];
  readonly values: readonly (number | null)[];
  readonly format: (value: number) => string;
};

const HEIGHT = 132;
/** Before there is much to show, the axis of time is not stretched over seconds. */
const LEAST_SECONDS = 60;

/** One figure over time. Drawn anew where the colours or the width change. */
export function Plot({ title, summary, times, values, format }: Props): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const data = useRef<uPlot.AlignedData>([[], []]);
  data.current = [[...times], [...values]];
  const theme = shown.value;
  // The theme changes the colours that are read
  useEffect(() => {
    const element = box.current!;
    const drawn = new uPlot(optionsOf(element, format), data.current, element);
    plot.current = drawn;
    const watcher = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height: HEIGHT }));
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      drawn.destroy();
    };
  }, [theme]);
  const [first, last] = [times[0], times.at(-1)];
  // New figures come with a new time, older ones with another beginning
  useEffect(() => plot.current?.setData(data.current), [first, last]);
  return (
    <figure class="plot">
      <figcaption>
        <span class="plot-title">{title}</span> <span class="muted">{summary}</span>
      </figcaption>
      <div ref={box} class="plot-area" role="img" aria-label={`${title}: ${summary}`} />
    </figure>
  );
}

const timeOfTick = (seconds: number): string =>
  new Date(seconds * 1000).toLocaleTimeString(undefined, { timeStyle: 'medium' });

function optionsOf(element: HTMLElement, format: (value: number) => string): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const axis: uPlot.Axis = {
    stroke: colour('--muted'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { range: (_plot, least, most) => [Math.min(least, most - LEAST_SECONDS), most] },
      y: { range: (_plot, _least, most) => [0, most > 0 ? most * 1.15 : 1] },
    },
    axes: [
      { ...axis, space: 90, size: 24, values: (_plot, ticks) => ticks.map(timeOfTick) },
      { ...axis, size: 62, space: 32, values: (_plot, ticks) => ticks.map(format) },
    ],
    series: [
      {},
      {
        stroke: colour('--accent'),
        width: 2,
        fill: colour('--plot-fill'),
        points: { show: false },
        spanGaps: false,
      },
    ],
  };
}
