// Loki's HTTP API, streams flattened into entries in time order. Nanoseconds stay strings: a double would round them.
import { ask } from './http';
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

export const toNs = (seconds: number) => String(BigInt(Math.round(seconds * 1e6)) * 1000n);

export interface LogQuery { query: string; start: string; end: string; limit: number; direction: 'forward' | 'backward' }
/** Newest first, whatever the direction asked for. */
export async function queryRange(q: LogQuery, signal?: AbortSignal): Promise<Entry[]> {
  const answer = await ask<Streams>('/loki/api/v1/query_range', { ...q }, signal);
  return flatten(answer.data.result ?? []);
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
