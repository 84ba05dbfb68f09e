// Prometheus's HTTP API, answers turned into series of numbers.
import { ask } from './http';
import type { Window } from '../range';

export type Labels = Record<string, string>;
/** Points are [unix seconds, value]. */
export interface Series { labels: Labels; points: [number, number][] }
export interface Result { series: Series[]; notes: string[]; type: string }
export interface Exemplar { time: number; value: number; traceId: string; series: Labels; labels: Labels }
export interface Metadata { type: string; help: string; unit: string }

type Raw = [number, string];
interface Answer<T> { data: T; warnings?: string[]; infos?: string[] }
interface QueryData {
  resultType: string;
  result: { metric: Labels; value?: Raw; values?: Raw[]; histogram?: unknown; histograms?: unknown[] }[] | Raw;
}

export function number(text: string): number {
  return text === '+Inf' || text === 'Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text);
}
function read(answer: Answer<QueryData>): Result {
  const { resultType, result } = answer.data;
  const notes = [...(answer.warnings ?? []), ...(answer.infos ?? [])];
  if (resultType === 'scalar') {
    const [t, v] = result as Raw;
    return { series: [{ labels: {}, points: [[t, number(v)]] }], notes, type: resultType };
  }
  if (resultType === 'string') return { series: [], notes: [...notes, (result as Raw)[1]], type: resultType };
  const rows = result as Exclude<QueryData['result'], Raw>;
  const native = rows.filter((r) => r.histogram ?? r.histograms).length;
  if (native) notes.push(`${native} series hold native histograms: wrap the expression in histogram_quantile(0.95, …) to draw them.`);
  const series = rows
    .map((r) => ({ labels: r.metric, points: (r.values ?? (r.value ? [r.value] : [])).map(([t, v]): [number, number] => [t, number(v)]) }))
    .filter((s) => s.points.length > 0);
  return { series, notes, type: resultType };
}

export async function queryRange(query: string, w: Window, step: number, signal?: AbortSignal): Promise<Result> {
  return read(await ask('/api/v1/query_range', { query, start: w.start, end: w.end, step }, signal, true));
}
export async function query(expression: string, time: number, signal?: AbortSignal): Promise<Result> {
  return read(await ask('/api/v1/query', { query: expression, time: time.toFixed(3) }, signal, true));
}
export async function exemplars(expression: string, w: Window, signal?: AbortSignal): Promise<Exemplar[]> {
  const answer = await ask<Answer<{ seriesLabels: Labels; exemplars: { labels: Labels; value: string; timestamp: number }[] }[]>>(
    '/api/v1/query_exemplars', { query: expression, start: w.start, end: w.end }, signal, true);
  return (answer.data ?? []).flatMap((s) => s.exemplars.map((e) => ({
    time: e.timestamp, value: number(e.value), series: s.seriesLabels, labels: e.labels,
    traceId: e.labels['traceID'] ?? e.labels['trace_id'] ?? e.labels['traceId'] ?? '',
  })));
}
export async function labels(match: string[], signal?: AbortSignal): Promise<string[]> {
  return (await ask<Answer<string[]>>('/api/v1/labels', { 'match[]': match }, signal)).data ?? [];
}
export async function labelValues(name: string, match: string[], w?: Window, signal?: AbortSignal): Promise<string[]> {
  const answer = await ask<Answer<string[]>>(`/api/v1/label/${encodeURIComponent(name)}/values`, { 'match[]': match, start: w?.start, end: w?.end }, signal);
  return answer.data ?? [];
}
export async function metadata(signal?: AbortSignal): Promise<Record<string, Metadata>> {
  const answer = await ask<Answer<Record<string, Metadata[]>>>('/api/v1/metadata', {}, signal);
  return Object.fromEntries(Object.entries(answer.data ?? {}).flatMap(([name, all]) => (all[0] ? [[name, all[0]]] : [])));
}

/** A label value as it stands between double quotes in PromQL and LogQL. */
export const quote = (v: string) => `"${v.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;
/** `name{a="b"}` as Prometheus prints a series; a series without labels is `{}`. */
export function seriesName(l: Labels): string {
  const { __name__: name = '', ...rest } = l;
  const inner = Object.entries(rest).map(([k, v]) => `${k}=${quote(v)}`).join(', ');
  return inner || !name ? `${name}{${inner}}` : name;
}
/** What tells the series of one chart apart: as few of the labels that differ as keep the names unique, the short ones first. */
export function shortNames(all: Labels[]): string[] {
  let keys = [...new Set(all.flatMap((l) => Object.keys(l)))].filter((k) => new Set(all.map((l) => l[k])).size > 1);
  const chars = (k: string) => all.reduce((sum, l) => sum + (l[k]?.length ?? 0), 0);
  const unique = (some: string[]) => new Set(all.map((l) => JSON.stringify(some.map((k) => l[k] ?? '')))).size === all.length;
  for (const key of [...keys].sort((a, b) => chars(b) - chars(a))) {
    const rest = keys.filter((k) => k !== key);
    if (rest.length && unique(rest)) keys = rest;
  }
  if (all.length < 2 || keys.length === 0) {
    return all.map((l) => { const own = Object.entries(l).filter(([k]) => k !== '__name__'); return own.length === 1 ? (own[0] as [string, string])[1] : seriesName(l); });
  }
  return all.map((l) => keys.filter((k) => l[k]).map((k) => (k === '__name__' || keys.length === 1 ? l[k] : `${k}=${l[k]}`)).join(' ') || seriesName(l));
}
