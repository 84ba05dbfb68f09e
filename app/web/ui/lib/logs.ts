// Log entries: their level, their volume over time, and LogQL built from a person's clicks. Pure; knows no API.
import type { Entry } from './api/loki';
import { quote, type Labels } from './api/prometheus';
import type { Window } from './range';

export const LEVELS = ['critical', 'error', 'warning', 'info', 'debug', 'trace', 'unknown'] as const;
export type Level = (typeof LEVELS)[number];

/** Loki detects a level as it stores a line; where it could not, the usual labels are asked. */
export function level(labels: Labels): Level {
  const text = (labels['detected_level'] ?? labels['level'] ?? labels['severity_text'] ?? labels['severity'] ?? '').toLowerCase();
  if (/^(fatal|crit|emerg|alert|panic)/.test(text)) return 'critical';
  if (text.startsWith('err')) return 'error';
  if (text.startsWith('warn')) return 'warning';
  if (/^(info|notice)/.test(text)) return 'info';
  if (text.startsWith('debug')) return 'debug';
  if (text.startsWith('trace')) return 'trace';
  return 'unknown';
}
export const service = (labels: Labels) => labels['service_name'] ?? labels['job'] ?? labels['app'] ?? '';
export const traceId = (labels: Labels) => labels['trace_id'] ?? labels['traceID'] ?? labels['traceid'] ?? '';

export interface Bar { start: number; end: number; total: number; byLevel: Partial<Record<Level, number>> }
/** How many entries fell into each of `bars` equal stretches of the window. */
export function volume(entries: Entry[], w: Window, bars = 60): Bar[] {
  const size = (w.end - w.start) / bars;
  const out: Bar[] = Array.from({ length: bars }, (_, i) => ({ start: w.start + i * size, end: w.start + (i + 1) * size, total: 0, byLevel: {} }));
  for (const e of entries) {
    const bar = out[Math.min(bars - 1, Math.floor((e.ms / 1000 - w.start) / size))];
    if (!bar) continue;
    const l = level(e.labels);
    bar.total++;
    bar.byLevel[l] = (bar.byLevel[l] ?? 0) + 1;
  }
  return out;
}
/** The same from counts by level: each point counts the `step` seconds before it. */
export function volumeOf(counts: { labels: Labels; points: [number, number][] }[], w: Window, step: number): Bar[] {
  const out: Bar[] = Array.from({ length: Math.ceil((w.end - w.start) / step) }, (_, i) => ({ start: w.start + i * step, end: w.start + (i + 1) * step, total: 0, byLevel: {} }));
  for (const { labels, points } of counts) {
    const l = level(labels);
    for (const [time, n] of points) {
      const bar = out[Math.round((time - w.start) / step) - 1];
      if (!bar) continue;
      bar.total += n;
      bar.byLevel[l] = (bar.byLevel[l] ?? 0) + n;
    }
  }
  return out;
}
/** New entries in front of the old, none twice, at most `limit`. Both are newest first. */
export function merge(old: Entry[], fresh: Entry[], limit: number): Entry[] {
  const known = new Set(old.slice(0, 2000).map((e) => e.key));
  const added = fresh.filter((e) => !known.has(e.key));
  if (added.length === 0) return old;
  const all = [...added, ...old];
  // Late entries may be older than what is shown; a full sort keeps the order a promise.
  all.sort((a, b) => b.ns.length - a.ns.length || (a.ns < b.ns ? 1 : a.ns > b.ns ? -1 : 0));
  return all.slice(0, limit);
}

/** The selector's braces, skipping over quoted strings; null when there are none. */
function braces(query: string): { open: number; close: number } | null {
  const open = query.indexOf('{');
  if (open < 0) return null;
  let quoted = '';
  for (let i = open + 1; i < query.length; i++) {
    const c = query[i] as string;
    if (quoted) {
      if (c === '\\' && quoted === '"') i++;
      else if (c === quoted) quoted = '';
    } else if (c === '"' || c === '`') quoted = c;
    else if (c === '}') return { open, close: i };
  }
  return null;
}
/** Adds a matcher to the selector, replacing an equal-keyed `=` or `!=` one. */
export function withMatcher(query: string, key: string, op: '=' | '!=', v: string): string {
  const at = braces(query);
  const matcher = `${key}${op}${quote(v)}`;
  if (!at) return `{${matcher}} ${query}`.trim();
  const inner = query.slice(at.open + 1, at.close).trim();
  const same = new RegExp(`(^|,)\\s*${key}\\s*${op === '=' ? '=' : '!='}\\s*"(?:[^"\\\\]|\\\\.)*"`);
  const next = op === '=' && same.test(inner) ? inner.replace(same, (_, head: string) => `${head}${head ? ' ' : ''}${matcher}`) : inner.includes(matcher) ? inner : inner ? `${inner}, ${matcher}` : matcher;
  return `${query.slice(0, at.open)}{${next}}${query.slice(at.close + 1)}`;
}
/** Filters on what is not in the stream's labels: a stage behind the selector. */
export function withStage(query: string, key: string, op: '=' | '!=', v: string): string {
  const stage = `| ${key}${op}${quote(v)}`;
  return query.includes(stage) ? query : `${query.trim()} ${stage}`;
}
/** All entries: Loki wants at least one matcher that cannot match the empty string. */
export const EVERYTHING = '{service_name=~".+"}';
export const ofService = (name: string) => `{service_name=${quote(name)}}`;
export const ofTrace = (id: string) => `${EVERYTHING} | trace_id=${quote(id)}`;
