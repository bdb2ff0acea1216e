// A chart of figures over time, drawn anew as they come, in the colours of the theme.
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';

export interface Line {
  readonly name: string;
  readonly values: readonly (number | null)[];
}

export interface ChartProps {
  readonly title: string;
  /** Seconds since 1970. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  /** What is drawn on the axis, where `format` would be too long. */
  readonly axis?: (value: number) => string;
}

const HEIGHT = 140;
const WIDTH_MIN = 160;
/** Told apart without their colour too: dashes differ. */
const DASHES: readonly number[][] = [[], [6, 3], [2, 3], [10, 3, 2, 3], [4, 4], [1, 2]];
const COLOURS = DASHES.length;

export function Chart(props: ChartProps): JSX.Element {
  const { title, times, lines, format } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const names = lines.map(({ name }) => name).join('\n');
  const latest = useRef(props);
  latest.current = props;
  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const made = new uPlot(optionsOf(element, latest.current), dataOf(latest.current), element);
    plot.current = made;
    const stop = redrawing(made, element);
    return () => {
      stop();
      made.destroy();
    };
  }, [names]);
  useEffect(() => plot.current?.setData(dataOf(latest.current)), [times]);
  const now = lines.map(({ name, values }) => ({ name, text: format(values.at(-1) ?? 0) }));
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <div class="plot" ref={place} role="img" aria-label={`${title}, now ${now.map(({ name, text }) => `${name} ${text}`).join(', ')}`} />
      <ul class="legend">
        {now.map(({ name, text }, index) => (
          <li key={name}>
            <span class={`swatch line-${index % COLOURS}`} aria-hidden="true" />
            <bdi>{name}</bdi> <span class="mono">{text}</span>
          </li>
        ))}
      </ul>
    </figure>
  );
}

/** When its place or the theme changes. */
function redrawing(plot: uPlot, element: HTMLElement): () => void {
  const resizing = new ResizeObserver(() => plot.setSize({ width: Math.max(WIDTH_MIN, element.clientWidth), height: HEIGHT }));
  resizing.observe(element);
  const redraw = (): void => plot.redraw(false, true);
  const theming = new MutationObserver(redraw);
  theming.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  scheme.addEventListener('change', redraw);
  return () => {
    resizing.disconnect();
    theming.disconnect();
    scheme.removeEventListener('change', redraw);
  };
}

function dataOf({ times, lines }: ChartProps): uPlot.AlignedData {
  return [[...times], ...lines.map(({ values }) => [...values])];
}

function optionsOf(element: HTMLElement, { lines, axis, format }: ChartProps): uPlot.Options {
  const colour = (name: string) => (): string => getComputedStyle(element).getPropertyValue(name).trim();
  const common: uPlot.Axis = {
    stroke: colour('--quiet'),
    font: '11px system-ui, sans-serif',
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  };
  return {
    width: Math.max(WIDTH_MIN, element.clientWidth),
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 8, 0, 0],
    scales: { y: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } },
    axes: [
      { ...common, size: 28, space: 70, values: (_, splits) => splits.map((at) => new Date(at * 1_000).toLocaleTimeString('sv-SE')) },
      { ...common, size: 56, space: 30, values: (_, values) => values.map(axis ?? format) },
    ],
    series: [
      {},
      ...lines.map((_, index) => ({ stroke: colour(`--line-${index % COLOURS}`), width: 1.5, dash: DASHES[index % COLOURS] ?? [], points: { show: false } })),
    ],
  };
}
