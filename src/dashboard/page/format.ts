// Numbers, sizes, times and durations for people.

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** With one figure behind the point where that says something. */
export function rate(value: number): string {
  return value < 10 ? (Math.round(value * 10) / 10).toString() : count(value);
}

/** `1 event`, `2 events`. */
export function several(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  return power === 0 ? `${Math.round(value)} B` : `${(value / 1024 ** power).toFixed(1)} ${units[power] ?? ''}`;
}

/** Short, for an axis: 1.2M, 300k. */
export function short(value: number): string {
  if (value >= 1e9) return `${trimmed(value / 1e9)}G`;
  if (value >= 1e6) return `${trimmed(value / 1e6)}M`;
  return value >= 1e3 ? `${trimmed(value / 1e3)}k` : trimmed(value);
}

function trimmed(value: number): string {
  return value.toFixed(value < 10 ? 1 : 0).replace(/\.0$/, '');
}

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${(ms / 60_000).toFixed(1)} min`;
  return ms < 172_800_000 ? `${(ms / 3_600_000).toFixed(1)} h` : `${(ms / 86_400_000).toFixed(1)} d`;
}

/** By the reader's own clock; the title of the element has UTC. */
export function time(iso: string): string {
  const date = new Date(iso);
  return `${date.toLocaleDateString('sv-SE')} ${clock(date)}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

export function clock(date: Date): string {
  return date.toLocaleTimeString('sv-SE');
}

/** Machine and process: which processor of it says nothing to people. */
export function ownerOf(text: string): string {
  return text.split('/').slice(0, 2).join(' · ');
}

/** One line of JSON, cut where nobody reads on. */
export function preview(value: unknown): string {
  const text = JSON.stringify(value) ?? '';
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
