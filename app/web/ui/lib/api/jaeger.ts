// Jaeger's query API; times in microseconds, as it has them. The tree is built in ../trace.ts.
import { ask } from './http';
import type { Window } from '../range';

export interface Tag { key: string; type?: string; value: unknown }
export interface RawSpan {
  traceID: string;
  spanID: string;
  operationName: string;
  references?: { refType: string; traceID: string; spanID: string }[] | null;
  startTime: number;
  duration: number;
  tags?: Tag[] | null;
  logs?: { timestamp: number; fields: Tag[] }[] | null;
  processID: string;
  warnings?: string[] | null;
}
export interface RawTrace { traceID: string; spans: RawSpan[]; processes: Record<string, { serviceName: string; tags?: Tag[] | null }> }
export interface TraceQuery { service: string; operation?: string; tags?: string; minDuration?: string; maxDuration?: string; limit: number }

const micros = (seconds: number) => Math.round(seconds * 1e6);

export async function services(signal?: AbortSignal): Promise<string[]> {
  return (await ask<{ data: string[] | null }>('/api/services', {}, signal)).data?.sort() ?? [];
}
export async function operations(service: string, signal?: AbortSignal): Promise<string[]> {
  return (await ask<{ data: string[] | null }>(`/api/services/${encodeURIComponent(service)}/operations`, {}, signal)).data?.sort() ?? [];
}
export async function search(q: TraceQuery, w: Window, signal?: AbortSignal): Promise<RawTrace[]> {
  const answer = await ask<{ data: RawTrace[] | null }>('/api/traces', { ...q, start: micros(w.start), end: micros(w.end) }, signal);
  return [...new Map((answer.data ?? []).map((t) => [t.traceID, t])).values()];
}
/** Jaeger searches one service at a time; without one, ask for each and put the answers together. */
export async function searchAll(names: string[], q: Omit<TraceQuery, 'service'>, w: Window, signal?: AbortSignal): Promise<RawTrace[]> {
  const answers = await Promise.all(names.slice(0, 20).map((service) => search({ ...q, service }, w, signal)));
  const byId = new Map<string, RawTrace>();
  for (const t of answers.flat()) if (!byId.has(t.traceID)) byId.set(t.traceID, t);
  return [...byId.values()];
}
export async function trace(id: string, signal?: AbortSignal): Promise<RawTrace | null> {
  return (await ask<{ data: RawTrace[] | null }>(`/api/traces/${encodeURIComponent(id)}`, {}, signal)).data?.[0] ?? null;
}

/** `http.status_code=500 error=true name="a b"` as the JSON object that Jaeger wants; null when it cannot be read. */
export function tagsJson(text: string): string | null | undefined {
  const rest = text.trim();
  if (!rest) return undefined;
  const out: Record<string, string> = {};
  const pair = /\s*([\w.\-/]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]\S*))(?=\s|$)/gy;
  let end = 0;
  for (let m = pair.exec(rest); m; m = pair.exec(rest)) {
    out[m[1] as string] = m[2] !== undefined ? m[2].replace(/\\(.)/g, '$1') : (m[3] as string);
    end = pair.lastIndex;
  }
  return end === rest.length ? JSON.stringify(out) : null;
}
