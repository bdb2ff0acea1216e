// Shows events to people: one on a line, or whole.
import type { RecordedEvent } from '../index.ts';
import { type Cli, oneLine, plain } from './cli.ts';

/** `2026-01-31 12:00:00.000  user_updates:1@3  Renamed  {"name":"Daffy"}`, cut to the terminal's width where it is one. */
export function eventLine(cli: Cli, event: RecordedEvent): string {
  const { colours } = cli;
  const [time, place, type] = [timeText(event.recordedAt), plain(`${event.streamName}@${event.streamVersion}`), plain(event.type)];
  const left = cli.isTerminal ? Math.max(20, cli.width - time.length - place.length - type.length - 6) : Number.POSITIVE_INFINITY;
  return `${colours.dim(time)}  ${colours.cyan(place)}  ${colours.bold(type)}  ${oneLine(event.data, left)}`;
}

/** All of an event, on several lines. */
export function eventLines(cli: Cli, event: RecordedEvent): readonly string[] {
  const { colours } = cli;
  const line = (name: string, value: string): string => `${colours.dim(name.padEnd(9))} ${value}`;
  return [
    `${colours.cyan(plain(`${event.streamName}@${event.streamVersion}`))}  ${colours.bold(plain(event.type))}`,
    line('recorded', event.recordedAt.toISOString()),
    line('position', event.position),
    line('id', plain(event.id)),
    ...jsonLines(event.data).map((text, index) => line(index === 0 ? 'data' : '', text)),
    ...(Object.keys(event.metadata).length === 0 ? [] : jsonLines(event.metadata).map((text, index) => line(index === 0 ? 'metadata' : '', text))),
  ];
}

/** A value as JSON over several lines, safe for a terminal. */
export function jsonLines(value: unknown): readonly string[] {
  return (JSON.stringify(value, undefined, 2) ?? 'undefined').split('\n').map(plain);
}

/** By UTC, as the server records it. */
export function timeText(time: Date): string {
  return time.toISOString().replace('T', ' ').replace('Z', '');
}

/** `3 s`, `2.5 min`, `4 h`, `12 d`. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${(ms / 60_000).toFixed(1)} min`;
  return ms < 172_800_000 ? `${(ms / 3_600_000).toFixed(1)} h` : `${(ms / 86_400_000).toFixed(1)} d`;
}

/** `1,234,567`. */
export function countText(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

/** `12.3 MiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return power === 0 ? `${bytes} B` : `${(bytes / 1_024 ** power).toFixed(1)} ${units[power] ?? ''}`;
}
