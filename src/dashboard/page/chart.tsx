// A chart of figures over time, as an SVG in the colours of the theme: half the size of the page would be a library for it.
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { clock } from './format.ts';

export interface Line {
  readonly name: string;
  readonly values: readonly (number | undefined)[];
}

export interface ChartProps {
  readonly title: string;
  /** Milliseconds since 1970. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  /** What is written at the axis, where `format` would be too long. */
  readonly axis?: (value: number) => string;
  /** 1024 for bytes, so that the axis has round figures. */
  readonly base?: 1_000 | 1_024;
}

/** The space in which lines are drawn; the browser stretches it to the place that there is. */
const [WIDTH, HEIGHT] = [1_000, 100];
/** In the style sheet each has a colour, and dashes of its own for those who do not see that. */
const LOOKS = 6;
const TICKS = 4;

export function Chart({ title, times, lines, format, axis = format, base = 1_000 }: ChartProps): JSX.Element {
  const [pointed, setPointed] = useState<number | undefined>(undefined);
  const ticks = ticksOf(Math.max(0, ...lines.flatMap(({ values }) => values.map((value) => value ?? 0))), base);
  const top = ticks.at(-1) ?? 1;
  const at = pointed === undefined ? times.length - 1 : Math.min(pointed, times.length - 1);
  const shown = lines.map(({ name, values }) => ({ name, text: format(values[at] ?? 0) }));
  const point = (event: PointerEvent): void => {
    if (!(event.currentTarget instanceof HTMLElement)) return;
    const { left, width } = event.currentTarget.getBoundingClientRect();
    setPointed(nearest(times, Math.min(1, Math.max(0, (event.clientX - left) / width))));
  };
  return (
    <figure class="chart">
      <figcaption>
        <span>{title}</span>
        <span class="mono quiet">{pointed !== undefined && times[at] !== undefined && clock(new Date(times[at]))}</span>
      </figcaption>
      <div class="plot" role="img" aria-label={`${title}: ${shown.map(({ name, text }) => `${name} ${text}`).join(', ')}`}>
        {ticks.map((tick) => (
          <span key={tick} class="tick mono" style={{ bottom: `${(tick / top) * 100}%` }}>
            {axis(tick)}
          </span>
        ))}
        <div class="drawn" onPointerMove={point} onPointerLeave={() => setPointed(undefined)}>
          <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
            {ticks.map((tick) => (
              <path key={tick} class="grid" d={`M0 ${y(tick, top)}H${WIDTH}`} />
            ))}
            {lines.map(({ name, values }, index) => (
              <path key={name} class={`line line-${index % LOOKS}`} d={pathOf(times, values, top)} />
            ))}
            {pointed !== undefined && <path class="grid pointed" d={`M${x(times, at)} 0V${HEIGHT}`} />}
          </svg>
        </div>
      </div>
      <p class="ends mono quiet">
        <span>{times[0] !== undefined && clock(new Date(times[0]))}</span>
        <span>{times.length > 1 && clock(new Date(times.at(-1) ?? 0))}</span>
      </p>
      <ul class="legend">
        {shown.map(({ name, text }, index) => (
          <li key={name}>
            <svg class="swatch" viewBox="0 0 16 4" aria-hidden="true">
              <path class={`line line-${index % LOOKS}`} d="M0 2H16" />
            </svg>
            <bdi>{name}</bdi> <span class="mono">{text}</span>
          </li>
        ))}
      </ul>
    </figure>
  );
}

function x(times: readonly number[], index: number): number {
  const [first = 0, last = 0] = [times[0], times.at(-1)];
  return last === first ? WIDTH : Math.round((((times[index] ?? first) - first) / (last - first)) * WIDTH * 10) / 10;
}

function y(value: number, top: number): number {
  return Math.round((1 - value / top) * HEIGHT * 10) / 10;
}

/** Nobody looked on in between. */
const GAP_MS = 15_000;

/** Where figures are missing the line is too. */
function pathOf(times: readonly number[], values: Line['values'], top: number): string {
  let isDrawing = false;
  return values
    .map((value, index) => {
      const isGap = (times[index] ?? 0) - (times[index - 1] ?? 0) > GAP_MS;
      const letter = isDrawing && !isGap ? 'L' : 'M';
      isDrawing = value !== undefined;
      return value === undefined ? '' : `${letter}${x(times, index)} ${y(value, top)}`;
    })
    .join('');
}

function nearest(times: readonly number[], share: number): number {
  const [first = 0, last = 0] = [times[0], times.at(-1)];
  const wanted = first + share * (last - first);
  return times.reduce((best, time, index) => (Math.abs(time - wanted) < Math.abs((times[best] ?? 0) - wanted) ? index : best), 0);
}

/** Round figures from 0 to above the highest. */
function ticksOf(highest: number, base: number): readonly number[] {
  const unit = base ** Math.max(0, Math.floor(Math.log(Math.max(1, highest)) / Math.log(base)));
  const rough = Math.max(1, highest / unit) / (TICKS - 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(unit === 1 ? 1 : 0, ([1, 2, 2.5, 5, 10].find((each) => each * power >= rough) ?? 10) * power) * unit;
  return Array.from({ length: Math.max(2, Math.ceil(highest / step) + 1) }, (_, index) => index * step);
}
