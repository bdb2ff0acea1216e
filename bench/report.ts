// How figures are shown: as a table for people, as JSON for programs.
import { type Measured, reaches } from './figure.ts';

export function asJson(figures: readonly Measured[]): string {
  return JSON.stringify({ figures: figures.map(ordered) }, undefined, 2);
}

function ordered({ name, value, unit, beside, besideValue, ratio, aim, compare, reason, note }: Measured): Measured {
  const figure = { name, value: short(value), unit, beside, besideValue: short(besideValue), ratio: short(ratio), aim, compare };
  return { ...figure, ...(reason !== undefined && { reason }), ...(note !== undefined && { note }) };
}

/** More digits than these say nothing. */
function short(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(4));
}

export function asTable(figures: readonly Measured[]): string {
  const rows = figures.map(rowOf);
  const head = ['figure', 'value', 'beside it', 'ratio', 'aim', ''];
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)));
  const lines = [head, widths.map((width) => '-'.repeat(width)), ...rows].map((row) => lineOf(row, widths));
  const remarks = figures.flatMap(({ name, reason, note }) => [reason, note].flatMap((text) => (text === undefined ? [] : [`${name}: ${text}`])));
  return [...lines, ...(remarks.length > 0 ? ['', ...remarks] : [])].join('\n');
}

/** One line about one figure, for watching the run. */
export function asLine(figure: Measured): string {
  return rowOf(figure).filter(Boolean).join('  ');
}

function rowOf(figure: Measured): string[] {
  const { name, value, unit, besideValue, ratio } = figure;
  if (value === null) return [name, 'not measured', '', '', aimOf(figure), ''];
  return [name, `${rounded(value)} ${unit}`, rounded(besideValue), rounded(ratio), aimOf(figure), verdictOn(figure)];
}

function verdictOn(figure: Measured): string {
  const reached = reaches(figure);
  if (reached === undefined) return '';
  return reached ? 'reached' : 'NOT reached';
}

function aimOf({ aim, compare, unit }: Measured): string {
  if (aim === null) return '';
  if (compare === 'ratio>=') return `ratio >= ${aim}`;
  return compare === 'value<=' ? `value <= ${aim} ${unit}` : `value - beside <= ${aim}`;
}

function rounded(value: number | null): string {
  if (value === null) return '';
  return value.toLocaleString('en', value >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 });
}

function lineOf(row: readonly string[], widths: readonly number[]): string {
  return row
    .map((cell, column) => (column === 1 || column === 2 || column === 3 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
    .join('  ')
    .trimEnd();
}
