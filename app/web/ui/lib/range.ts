// Time ranges as they stand in the URL (`now-15m`, `now`, or unix milliseconds) and as the APIs want them. Pure: the caller brings the clock.
export interface Range { from: string; to: string }
/** A resolved range in unix seconds, with fractions. */
export interface Window { start: number; end: number }

export const DEFAULT_RANGE: Range = { from: 'now-15m', to: 'now' };
export const RELATIVE: { from: string; label: string }[] = [
  { from: 'now-5m', label: 'Last 5 minutes' },
  { from: 'now-15m', label: 'Last 15 minutes' },
  { from: 'now-30m', label: 'Last 30 minutes' },
  { from: 'now-1h', label: 'Last hour' },
  { from: 'now-3h', label: 'Last 3 hours' },
  { from: 'now-6h', label: 'Last 6 hours' },
  { from: 'now-12h', label: 'Last 12 hours' },
  { from: 'now-24h', label: 'Last 24 hours' },
  { from: 'now-2d', label: 'Last 2 days' },
  { from: 'now-7d', label: 'Last 7 days' },
];
const UNIT_MS: Record<string, number> = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3 };

/** `now`, `now-90s`, unix milliseconds, or anything Date can read; null when it is none of them. */
export function parseMoment(text: string, nowMs: number): number | null {
  const t = text.trim();
  if (t === 'now') return nowMs;
  const relative = /^now-(\d+)([smhdw])$/.exec(t);
  if (relative) return nowMs - Number(relative[1]) * (UNIT_MS[relative[2] as string] as number);
  if (/^\d{9,}$/.test(t)) return Number(t);
  const date = Date.parse(t);
  return Number.isNaN(date) ? null : date;
}

/** Falls back to the default where the URL holds nonsense, so that a broken link still shows something. */
export function resolve(range: Range, nowMs: number): Window {
  const to = parseMoment(range.to, nowMs) ?? nowMs;
  let from = parseMoment(range.from, nowMs);
  if (from == null || from >= to) from = to - 15 * 60e3;
  return { start: from / 1000, end: to / 1000 };
}

export const isLive = (range: Range) => range.to === 'now' && range.from.startsWith('now-');

/** Half a window back (-1) or forth (+1), never past the present; the result is absolute. */
export function shift(range: Range, direction: -1 | 1, nowMs: number): Range {
  const w = resolve(range, nowMs);
  const span = w.end - w.start;
  const end = Math.min(w.end + (direction * span) / 2, nowMs / 1000);
  return absolute(end - span, end);
}
export function absolute(start: number, end: number): Range {
  return { from: String(Math.round(start * 1000)), to: String(Math.round(end * 1000)) };
}

const NICE_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
/** The smallest round step, in seconds, that gives at most `points` points. */
export function stepFor(w: Window, points: number): number {
  const exact = (w.end - w.start) / points;
  return NICE_S.find((s) => s >= exact) ?? Math.ceil(exact / 86400) * 86400;
}
/** At most `most` round moments of a window by the local clock, and the seconds between two. One too close to an end to be written is left out. */
export function moments(w: Window, most: number): { times: number[]; step: number } {
  const step = stepFor(w, most), zone = new Date(w.start * 1000).getTimezoneOffset() * 60, edge = (w.end - w.start) * 0.05;
  const times: number[] = [];
  for (let t = Math.ceil((w.start - zone) / step) * step + zone; t <= w.end - edge; t += step) if (t >= w.start + edge) times.push(t);
  return { times, step };
}
/** The window on multiples of the step, so that a refresh moves the points and does not redraw other ones. */
export function align(w: Window, step: number): Window {
  return { start: Math.floor(w.start / step) * step, end: Math.floor(w.end / step) * step };
}
/** The range vector's length for rate(): at least a minute, so that a sparse counter still has two samples. */
export const rateWindow = (step: number) => `${Math.max(60, step)}s`;
