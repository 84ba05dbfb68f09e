// Our own API of deployments: runs, their steps, what the judge says, what was said and changed; and orders to them.
import { ask, post } from './http';

export type Status = 'planned' | 'running' | 'paused' | 'waiting' | 'halted' | 'rolling-back' | 'complete' | 'rolled-back' | 'failed';
export type Labels = Partial<Record<string, string>>;
/** A run in a list. */
export interface RunRow { run: string; title: string; target: string; labels: Labels; status: Status; created_ms: number; ended_ms: number | null; sentence: string }
export interface Failure { code: string; severity: string; message: string; causes?: string[]; next: string }
/** The judge's word, under its name: `{pass: {sentence}}`. */
export type Ruling = Partial<Record<'wait' | 'pass' | 'fail' | 'inconclusive', { sentence: string; hurt_since_ms?: number | null }>>;
export type StepState = 'waits' | 'running' | 'asks' | 'halted' | 'failed' | 'given-up' | 'skipped' | 'done' | 'undone' | 'not-undone';
export interface Step {
  id: string; name: string; reason: string; stage: string; component: string; state: StepState;
  begun_ms: number | null; ended_ms: number | null; undone_ms: number | null; attempts: number; optional: boolean;
  estimate: { usual_ms: number; p90_ms: number; runs: number };
  note: string; question: string | null; answer: { yes: boolean; actor: string; reason: string } | null;
  ruling: Ruling | null; skipped_by: string | null; failure: Failure | null; by_hand: string;
}
export interface Run {
  run: string; title: string; target: string; labels: Labels; actor: string; reason: string; status: Status; percent: number; stage: string;
  created_ms: number; started_ms: number | null; ended_ms: number | null; waited_ms: number; usual_ms: number; left_ms: number | null; left_is_guessed: boolean;
  undone_because: string | null; sentence: string; last_seq: number; steps: Step[];
}
export interface Entry { seq: number; at_ms: number; kind: string; detail: Record<string, unknown> }
export interface Judged {
  name: string; layer: string; unit: 'share' | 'seconds' | 'per_second' | 'count' | 'number'; new: number | null; old: number | null; effect: number | null;
  effect_low: number | null; effect_high: number | null; critical: boolean; outcome: 'pass' | 'high' | 'low' | 'unsure' | 'no_data' | 'unknown'; note: string;
}
export interface Verdict {
  outcome: 'continue' | 'pass' | 'fail' | 'inconclusive'; sentence: string; metrics: Judged[]; score: number | null; layers: { layer: string; score: number | null }[];
  hurt_ms: number; links: { label: string; question: string }[]; notes: string[]; at_ms: number;
}
export interface Health {
  said: { step: string; at_ms: number; outcome: string; sentence: string }[];
  verdict: Verdict | null;
  objects: { object: string; state: 'running' | 'stopped' | 'absent' | 'unknown'; image: string | null; why: string | null }[];
  degraded: { what: string; why: string; source: string }[];
}
export interface Lines { query: string; start_ms: number; end_ms: number; lines: { at_ms: number; text: string }[]; truncated: boolean; failed: string | null }
export interface Diff { against: string | null; changes: { path: string; from: unknown; to: unknown }[]; objects: { object: string; verbs: string[] }[] }
export interface History { audit: { seq: number; at_ms: number; actor: string; role: string; action: string; why: string }[] }
export interface Planned { report: string; findings: { rule: string; severity: string; message: string; fix: string }[]; plan: { title: string } }
export type Band = 'elite' | 'high' | 'medium' | 'low' | 'unknown';
export interface Key { value: number | null; band: Band; releases: number }
export interface Figures { total: number; outcomes: Partial<Record<Status, number>>; hurt_ms: number; dora: { per_day: Key; lead_ms: Key; failure_ratio: Key; restore_ms: Key } }
export type Order = 'approve' | 'reject' | 'pause' | 'resume' | 'cancel' | 'skip';

const BASE = '/apm/v1/deployments';
const of = (run: string, rest = '') => `${BASE}/${encodeURIComponent(run)}${rest}`;

export interface Wanted { service?: string; status?: string; before?: string; limit?: number }
export const runs = (wanted: Wanted, signal?: AbortSignal) => ask<{ deployments: RunRow[]; next: string | null }>(BASE, { ...wanted }, signal);
export const oneRun = (run: string, signal?: AbortSignal) => ask<Run>(of(run), {}, signal);
export const journal = (run: string, signal?: AbortSignal) => ask<{ events: Entry[] }>(of(run, '/events'), {}, signal);
export const health = (run: string, signal?: AbortSignal) => ask<Health>(of(run, '/health'), {}, signal);
export const lines = (run: string, signal?: AbortSignal) => ask<Lines>(of(run, '/logs'), { limit: 40 }, signal);
export const diff = (run: string, signal?: AbortSignal) => ask<Diff>(of(run, '/diff'), {}, signal);
export const history = (run: string, signal?: AbortSignal) => ask<History>(of(run, '/history'), {}, signal);
export const figures = (days: number, signal?: AbortSignal) => ask<Figures>(`${BASE}/metrics`, { days }, signal);
export const rollbackPlan = (run: string, signal?: AbortSignal) => ask<Planned>(of(run, '/rollback'), {}, signal);
export const order = (run: string, word: Order, reason: string) => post<unknown>(of(run, `/${word}`), { reason });
export const rollback = (run: string, reason: string) => post<{ run: string }>(of(run, '/rollback'), { reason });
/** Where the journal of one run, or of all, is told as it grows. */
export const watchUrl = (run?: string, after?: number) => (run ? `${of(run, '/watch')}${after ? `?after=${after}` : ''}` : `${BASE}/watch`);
