// The one time range of the page, read from the URL, and its refresh. Every chart and table asks `time.window`.
import { absolute, DEFAULT_RANGE, isLive, resolve, shift, type Range } from './range';
import { route, set } from './router.svelte';

/** The engine's clock minus ours, in ms, so that a laptop with a wrong clock still asks for the right range. */
let skewMs = 0;
const state = $state({ nowMs: Date.now() });

const range: Range = $derived({ from: route.get('from') || DEFAULT_RANGE.from, to: route.get('to') || DEFAULT_RANGE.to });
const windowNow = $derived(resolve(range, state.nowMs));
const refreshS = $derived(route.get('refresh') === 'off' ? 0 : route.get('refresh') === '5s' ? 5 : 10);

export const time = {
  get range() { return range; },
  get window() { return windowNow; },
  get live() { return isLive(range); },
  /** Seconds between refreshes; 0 is off. */
  get refresh() { return refreshS; },
  nowMs: () => Date.now() + skewMs,
};
export function setSkew(engineNowS: number) {
  const ms = engineNowS * 1000 - Date.now();
  skewMs = Math.abs(ms) > 2000 ? ms : 0;
}
export function refresh() {
  state.nowMs = Date.now() + skewMs;
}
export function setRange(next: Range) {
  refresh();
  const usual = next.from === DEFAULT_RANGE.from && next.to === DEFAULT_RANGE.to;
  set({ from: usual ? null : next.from, to: next.to === 'now' ? null : next.to });
}
/** What a brush on a chart does: the range becomes the stretch, in unix seconds. */
export function brushed(start: number, end: number) {
  if (end - start >= 0.5) setRange(absolute(start, end));
}
export function shiftRange(direction: -1 | 1) {
  setRange(shift(range, direction, time.nowMs()));
}
/** Call once, in the root component. */
export function startRefresh() {
  $effect(() => {
    if (!refreshS || !isLive(range)) return;
    const id = setInterval(() => { if (!document.hidden) refresh(); }, refreshS * 1000);
    const back = () => { if (!document.hidden) refresh(); };
    document.addEventListener('visibilitychange', back);
    return () => {
      clearInterval(id);
      document.removeEventListener('visibilitychange', back);
    };
  });
}
