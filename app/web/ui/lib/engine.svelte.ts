// What the engine says of itself, asked every few seconds; whether it can be reached at all. Knows no page.
import { status, type Status } from './api/apm';
import { asApiError, type ApiError } from './api/http';
import { session } from './session.svelte';
import { setSkew } from './time.svelte';

const state = $state<{ status: Status | null; error: ApiError | null }>({ status: null, error: null });

const arrivals = $derived(Object.values(state.status?.signals ?? {}).filter((s) => s?.first_seen).length);

export const engine = {
  get status() { return state.status; },
  get error() { return state.error; },
  /** True while no app has sent anything. The engine's own metrics and the host's begin at once, so metrics alone prove nothing. */
  get empty() {
    const s = state.status?.signals;
    return !!s && !s.traces?.first_seen && !s.logs?.first_seen;
  },
  /** Changes when the first of a signal arrives: who shows an empty state asks again then. */
  get arrivals() { return arrivals; },
  /** Where an app sends OTLP over HTTP: the listener of its own, or the one port, which takes it too. */
  get otlpUrl() {
    const at = state.status?.listeners.find((l) => /otlp.*http/i.test(l.name))?.address;
    return at ? `http://${reachable(at)}` : origin();
  },
  get url() { return state.status?.url || origin(); },
};
const origin = () => location.origin;
/** An address to type: a listener on every interface is reached by the host the page came from. */
const reachable = (address: string) => address.replace(/^(0\.0\.0\.0|\[::\]):/, `${location.hostname}:`);

async function ask() {
  try {
    state.status = await status();
    state.error = null;
    setSkew(state.status.now);
  } catch (error) {
    const failed = asApiError(error);
    // Who is signed out sees nothing of what was there; that the engine wants a token is no trouble of its own.
    if (failed.status === 401) state.status = null;
    state.error = failed.status === 401 ? null : failed;
  }
}
/** Call once, in the root component. Asks oftener while waiting for the first signal. */
export function watchEngine() {
  $effect(() => {
    if (session.wanted) return;
    const every = engine.empty || state.error ? 2000 : 5000;
    const id = setInterval(() => { if (!document.hidden) void ask(); }, every);
    return () => clearInterval(id);
  });
  // At once, and again at once after signing in.
  $effect(() => { if (!session.wanted) void ask(); });
}
