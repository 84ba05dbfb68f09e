// Deployments in words and in order: statuses, stages, marks on charts, and the service that a query is about. Pure; knows no API call.
import type { Judged, Run, RunRow, Status, Step, StepState } from './api/deployments';
import { duration, percent, perSecond, short } from './format';

export type Tone = 'ok' | 'warning' | 'critical' | 'unknown' | 'going';
const TONES: Record<Status, Tone> = {
  planned: 'unknown', running: 'going', paused: 'warning', waiting: 'warning', halted: 'warning', 'rolling-back': 'warning', complete: 'ok', 'rolled-back': 'critical', failed: 'critical',
};
const STEP_TONES: Record<StepState, Tone> = {
  waits: 'unknown', running: 'going', asks: 'warning', halted: 'warning', failed: 'critical', 'given-up': 'warning', skipped: 'unknown', done: 'ok', undone: 'unknown', 'not-undone': 'critical',
};
export const tone = (status: Status): Tone => TONES[status] ?? 'unknown';
export const stepTone = (state: StepState): Tone => STEP_TONES[state] ?? 'unknown';
export const statusWord = (status: string) => status.replace('-', ' ');
export const stateWord = (state: StepState) => ({ asks: 'asks a person', 'given-up': 'failed, and not needed', 'not-undone': 'could not be undone' } as Partial<Record<StepState, string>>)[state] ?? state;
export const isOver = (status: Status) => status === 'complete' || status === 'rolled-back' || status === 'failed';

/** "1.4.1 → 1.4.2"; the version alone where none was there, or none is known. */
export function versions(labels: RunRow['labels']): string {
  const [now, before] = [labels['version'] ?? '?', labels['version_before']];
  return before && before !== 'unknown' ? `${before} → ${now}` : now;
}
/** Seconds from the first executor to the end, or to now. */
export function tookSeconds(run: { created_ms: number; started_ms?: number | null; ended_ms: number | null }, nowMs: number): number {
  return Math.max(0, ((run.ended_ms ?? nowMs) - (run.started_ms ?? run.created_ms)) / 1000);
}

export interface Stage { name: string; tone: Tone; steps: Step[] }
/** Steps by their stage in the plan's order; a stage is as bad as its worst step, and done when all of them are over. */
export function stages(steps: Step[]): Stage[] {
  const out: Stage[] = [];
  for (const step of steps) {
    const stage = out.find((s) => s.name === step.stage) ?? (out.push({ name: step.stage, tone: 'unknown', steps: [] }), out[out.length - 1] as Stage);
    stage.steps.push(step);
  }
  for (const stage of out) {
    const tones = stage.steps.map((s) => stepTone(s.state));
    const worst = (['critical', 'warning', 'going'] as const).find((t) => tones.includes(t));
    stage.tone = worst ?? (stage.steps.every((s) => s.state === 'done' || s.state === 'skipped') ? 'ok' : 'unknown');
  }
  return out;
}
/** The step that a person must answer, or that stopped. */
export const waitingStep = (run: Run) => (isOver(run.status) ? undefined : run.steps.find((s) => s.state === 'asks' || s.state === 'halted' || s.state === 'failed'));
/** The last word of the judge about this release, and whether it is good. */
export function lastRuling(steps: Step[]): { word: string; sentence: string; step: string } | null {
  for (const step of [...steps].reverse()) {
    const [word, said] = Object.entries(step.ruling ?? {})[0] ?? [];
    if (word && said) return { word, sentence: said.sentence, step: step.name };
  }
  return null;
}

/** A release as a line through a chart. */
export interface Mark { run: string; time: number; tone: Tone; text: string }
export const marks = (rows: RunRow[]): Mark[] => rows.filter((r) => r.status !== 'planned').map((r) => ({
  run: r.run, time: r.created_ms / 1000, tone: tone(r.status), text: `${r.labels['service'] ?? ''} ${versions(r.labels)}${r.labels['environment'] ? ` · ${r.labels['environment']}` : ''} · ${statusWord(r.status)}`.trim(),
}));
/** The one service that a PromQL expression is about, by the labels under which services stand; null when there is none or more than one. */
export function serviceOf(query: string): string | null {
  const names = new Set([...query.matchAll(/\b(?:service|service_name|job)\s*=\s*"((?:[^"\\]|\\.)+)"/g)].map((m) => (m[1] as string).replace(/^.*\//, '')));
  return names.size === 1 ? ([...names][0] as string) : null;
}

/** A judged value in its unit. */
export function judgedValue(v: number | null, unit: Judged['unit']): string {
  if (v == null) return '–';
  return unit === 'share' ? percent(v) : unit === 'seconds' ? duration(v) : unit === 'per_second' ? perSecond(v) : short(v);
}
/** How much worse: points for shares, per cent for the rest. */
export function effect(m: Judged): string {
  if (m.effect == null || !Number.isFinite(m.effect)) return '–';
  const sign = m.effect > 0 ? '+' : m.effect < 0 ? '−' : '';
  const size = Math.abs(m.effect);
  return m.unit === 'share' ? `${sign}${Number((size * 100).toPrecision(2))} points` : m.unit === 'count' ? `${sign}${short(size)}` : `${sign}${Number((size * 100).toPrecision(size >= 1 ? 3 : 2))} %`;
}
const WORDS: Record<Judged['outcome'], string> = { pass: 'as before', high: 'worse: higher', low: 'worse: lower', unsure: 'not clear yet', no_data: 'no data', unknown: 'not known' };
export const outcomeWord = (m: Judged) => WORDS[m.outcome] ?? m.outcome;
/** A changed value on one line. */
export function shown(v: unknown): string {
  if (v == null) return '';
  return typeof v === 'string' ? v : JSON.stringify(v);
}
