// Loki's HTTP API, streams flattened into entries in time order. Nanoseconds stay strings: a double would round them.
import { ask } from './http';
import type { Window } from '../range';
import type { Labels } from './prometheus';

export interface Entry {
  ns: string;
  ms: number;
  line: string;
  /** Stream labels and structured metadata together, as Loki merges them. */
  labels: Labels;
  /** Same time, labels and line, and the same number among such: the same entry. Two equal lines in one nanosecond are two entries. */
  key: string;
}
interface Streams { data: { resultType: string; result: { stream: Labels; values: [string, string, unknown?][] }[] } }

interface Matrix { data: { result: { metric: Labels; values: [number, string][] }[] | null } }

export const toNs = (seconds: number) => String(BigInt(Math.round(seconds * 1e6)) * 1000n);

export interface LogQuery { query: string; start: string; end: string; limit: number; direction: 'forward' | 'backward' }
/** Newest first, whatever the direction asked for. */
export async function queryRange(q: LogQuery, signal?: AbortSignal): Promise<Entry[]> {
  const answer = await ask<Streams>('/loki/api/v1/query_range', { ...q }, signal);
  return flatten(answer.data.result ?? []);
}
/** How many lines in each `step` seconds of the window, by level; `step` is whole. Points stand at the end of what they count. */
export async function counts(query: string, w: Window, step: number, signal?: AbortSignal): Promise<{ labels: Labels; points: [number, number][] }[]> {
  const text = `sum by (detected_level, level) (count_over_time(${query} [${step}s]))`;
  const answer = await ask<Matrix>('/loki/api/v1/query_range', { query: text, start: toNs(w.start + step), end: toNs(w.end + step), step }, signal);
  return (answer.data.result ?? []).map((s) => ({ labels: s.metric, points: s.values.map(([t, v]): [number, number] => [t, Number(v)]) }));
}
export function flatten(streams: Streams['data']['result']): Entry[] {
  const out: Entry[] = [];
  const times = new Map<string, number>();
  for (const { stream, values } of streams) {
    const id = Object.entries(stream).sort().join();
    for (const [ns, line] of values) {
      const key = `${ns}\n${line}\n${id}`;
      const nth = times.get(key) ?? 0;
      times.set(key, nth + 1);
      out.push({ ns, ms: Number(ns.slice(0, -6)), line, labels: stream, key: nth ? `${key}\n${nth}` : key });
    }
  }
  return out.sort(newestFirst);
}
export function newestFirst(a: Entry, b: Entry): number {
  return b.ns.length - a.ns.length || (a.ns < b.ns ? 1 : a.ns > b.ns ? -1 : 0);
}
export async function labels(signal?: AbortSignal): Promise<string[]> {
  return (await ask<{ data?: string[] }>('/loki/api/v1/labels', {}, signal)).data ?? [];
}
export async function labelValues(name: string, signal?: AbortSignal): Promise<string[]> {
  return (await ask<{ data?: string[] }>(`/loki/api/v1/label/${encodeURIComponent(name)}/values`, {}, signal)).data ?? [];
}
