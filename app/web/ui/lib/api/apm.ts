// Our own API: services with their verdict, operations, and what the engine says of itself.
import { ask, send } from './http';
import type { Window } from '../range';

/** `client_only` calls others and nobody calls it, `unknown` has no calls at all: neither can be judged. */
export type Verdict = 'ok' | 'warning' | 'critical' | 'client_only' | 'unknown';
export interface Service {
  name: string;
  /** Calls per second over the last `rate_over_seconds`, which is shorter than the range while there is data for a part of it only. */
  rate: number | null;
  rate_over_seconds: number | null;
  error_ratio: number | null;
  p50_seconds: number | null;
  p95_seconds: number | null;
  p99_seconds: number | null;
  verdict: Verdict;
  reasons: string[];
  signals: { traces: boolean; logs: boolean; metrics: boolean };
  version: string | null;
  sparkline: [number, number][];
}
export interface Operation {
  name: string;
  kind: string;
  rate: number | null;
  rate_over_seconds: number | null;
  error_ratio: number | null;
  p50_seconds: number | null;
  p95_seconds: number | null;
  p99_seconds: number | null;
}
export interface SignalStatus { received: number; rejected: number; first_seen: number | null; last_seen: number | null }
export interface Finding { severity: string; title: string; detail: string; fix: string }
export interface Status {
  version: string;
  started_at: number;
  now: number;
  pid: number;
  project: string | null;
  data_dir: string;
  url: string;
  listeners: { name: string; address: string }[];
  memory: { limit_bytes: number; used_bytes: number; rss_bytes: number };
  disk: { used_bytes: number; limit_bytes: number | null; free_bytes: number };
  retention_seconds: number;
  signals: { metrics?: SignalStatus; logs?: SignalStatus; traces?: SignalStatus };
  shed: number;
  findings: Finding[];
  demo: boolean;
}

const at = (w: Window) => ({ start: w.start.toFixed(3), end: w.end.toFixed(3) });

export async function services(w: Window, signal?: AbortSignal): Promise<Service[]> {
  return (await ask<{ services: Service[] | null }>('/apm/v1/services', at(w), signal)).services ?? [];
}
export async function operations(service: string, w: Window, signal?: AbortSignal): Promise<Operation[]> {
  const answer = await ask<{ operations: Operation[] | null }>(`/apm/v1/services/${encodeURIComponent(service)}/operations`, at(w), signal);
  return answer.operations ?? [];
}
export type Role = 'viewer' | 'ingest' | 'deployer' | 'admin';
/** `by: 'nothing'` where the engine has no token. */
export interface Caller { role: Role; by: 'nothing' | 'token' | 'cookie' }
export const whoAmI = (signal?: AbortSignal) => ask<Caller>('/apm/v1/session', {}, signal);
export const signIn = (token: string) => send('POST', '/apm/v1/session', { token });
export const signOut = () => send('DELETE', '/apm/v1/session');
export const status = (signal?: AbortSignal) => ask<Status>('/apm/v1/status', {}, signal);
