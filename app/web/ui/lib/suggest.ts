// Fills the list at the cursor: metric names with type and help, labels, values, functions. Answers are kept for a minute.
import * as loki from './api/loki';
import { labels, labelValues, metadata, type Metadata } from './api/prometheus';
import { rank, wanted, type Language, type Option } from './complete';
import { FUNCTIONS } from './functions';

const KEEP_MS = 60_000;
const kept = new Map<string, { at: number; answer: Promise<unknown> }>();
function once<T>(key: string, fetcher: () => Promise<T>): Promise<T> {
  const old = kept.get(key);
  if (old && performance.now() - old.at < KEEP_MS) return old.answer as Promise<T>;
  const answer = fetcher();
  kept.set(key, { at: performance.now(), answer });
  // Nothing yet, or an error: the next one to ask may have more luck.
  answer.then((x) => { if (typeof x === 'object' && x && Object.keys(x).length === 0) kept.delete(key); }, () => kept.delete(key));
  return answer;
}
export interface MetricName { name: string; type: string; help: string }
/** A histogram's parts carry the metadata of the whole. */
export function describe(name: string, all: Record<string, Metadata>): MetricName {
  const m = all[name] ?? all[name.replace(/_(bucket|sum|count)$/, '')] ?? all[name.replace(/_total$/, '')];
  return { name, type: m?.type ?? '', help: m?.help ?? '' };
}
/** Types and helps; without them names still are names. */
export const knownMetadata = () => once('metadata', () => metadata()).catch(() => ({}) as Record<string, Metadata>);
export async function metricNames(): Promise<MetricName[]> {
  const [names, meta] = await Promise.all([once('names', () => labelValues('__name__', [])), knownMetadata()]);
  return names.map((n) => describe(n, meta));
}
const plain = (text: string, detail: string): Option => ({ text, detail, help: '' });
const STAGES: Option[] = [
  { text: '|=', detail: 'filter', help: 'line contains' }, { text: '!=', detail: 'filter', help: 'line does not contain' },
  { text: '|~', detail: 'filter', help: 'line matches the regex' }, { text: '!~', detail: 'filter', help: 'line does not match' },
];

export interface Suggestions { from: number; options: Option[]; kind: string }
export async function suggest(language: Language, text: string, cursor: number): Promise<Suggestions | null> {
  const w = wanted(text, cursor);
  if (w.kind === 'none') return null;
  const match = 'metric' in w && w.metric ? [w.metric] : [];
  let options: Option[] = [];
  if (language === 'logql') {
    if (w.kind === 'label') options = (await once('loki', () => loki.labels())).map((l) => plain(l, 'label'));
    else if (w.kind === 'value') options = (await once(`loki ${w.label}`, () => loki.labelValues(w.label))).map((v) => plain(v, w.label));
    else options = w.prefix ? [] : /\}\s+$/.test(text.slice(0, cursor)) ? STAGES : [];
  } else if (w.kind === 'name') {
    if (!w.prefix) return null;
    options = [...(await metricNames()).map((m) => ({ text: m.name, detail: m.type, help: m.help })), ...FUNCTIONS];
  } else if (w.kind === 'label') options = (await once(`labels ${match}`, () => labels(match))).filter((l) => l !== '__name__').map((l) => plain(l, 'label'));
  else options = (await once(`values ${w.label} ${match}`, () => labelValues(w.label, match))).map((v) => plain(v, w.label));
  const ranked = rank(options, w.prefix);
  if (ranked.length === 1 && ranked[0]?.text === w.prefix) return null;
  return { from: w.from, options: ranked, kind: w.kind };
}
