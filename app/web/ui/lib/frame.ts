// Series of a query as the columns a chart draws: one time axis, a hole where a series has no point. Pure.
import type { Series } from './api/prometheus';
import type { Window } from './range';

export interface Frame { times: number[]; columns: (number | null)[][] }

/** The grid is the query's own (aligned window, step), so a series that began late keeps its empty start. */
export function toFrame(series: Series[], w: Window, step: number): Frame {
  const n = Math.max(0, Math.floor((w.end - w.start) / step + 1e-6)) + 1;
  const times = Array.from({ length: n }, (_, i) => w.start + i * step);
  const columns = series.map((s) => {
    const column: (number | null)[] = new Array<number | null>(n).fill(null);
    for (const [t, v] of s.points) {
      const i = Math.round((t - w.start) / step);
      if (i >= 0 && i < n) column[i] = Number.isFinite(v) ? v : null;
    }
    return column;
  });
  return { times, columns };
}
export interface Stats { last: number | null; min: number | null; max: number | null; avg: number | null }
export function stats(column: (number | null)[]): Stats {
  let last: number | null = null, min = Infinity, max = -Infinity, sum = 0, n = 0;
  for (const v of column) {
    if (v == null) continue;
    last = v;
    if (v < min) min = v;
    if (v > max) max = v;
    sum += v;
    n++;
  }
  return n ? { last, min, max, avg: sum / n } : { last: null, min: null, max: null, avg: null };
}
/** Each column raised by the ones before it, for stacked areas. Where any has a value, one without counts as nothing: an area needs its lower edge. */
export function stacked(columns: (number | null)[][]): (number | null)[][] {
  const sum: number[] = [];
  return columns.map((column) => column.map((v, i) => {
    sum[i] = (sum[i] ?? 0) + (v ?? 0);
    return columns.some((other) => other[i] != null) ? sum[i] : null;
  }));
}
