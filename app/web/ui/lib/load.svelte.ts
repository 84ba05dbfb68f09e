// A value fetched again whenever what it reads changes; the old one stays until the new one is there. Knows no API.
import { asApiError, type ApiError } from './api/http';

export class Load<T> {
  data = $state.raw<T | null>(null);
  error = $state.raw<ApiError | null>(null);
  loading = $state(false);
  /** True once an answer or an error has come: before that an empty table would be a lie. */
  settled = $state(false);
}

/**
 * Call while a component initialises. `fetcher` runs in an effect: what it reads before its first `await` it depends on.
 * Returning null means "nothing to ask". A newer run cancels the older one. `keep` says whether old data may stay while loading.
 */
export function load<T>(fetcher: (signal: AbortSignal) => Promise<T> | null, onDone?: (data: T) => void): Load<T> {
  const state = new Load<T>();
  $effect(() => {
    const stop = new AbortController();
    const pending = fetcher(stop.signal);
    if (!pending) {
      state.data = null;
      state.error = null;
      state.loading = false;
      return;
    }
    state.loading = true;
    pending.then(
      (data) => {
        if (stop.signal.aborted) return;
        state.data = data;
        state.error = null;
        state.loading = false;
        state.settled = true;
        onDone?.(data);
      },
      (error: unknown) => {
        if (stop.signal.aborted) return;
        state.error = asApiError(error);
        state.loading = false;
        state.settled = true;
      },
    );
    return () => stop.abort();
  });
  return state;
}
