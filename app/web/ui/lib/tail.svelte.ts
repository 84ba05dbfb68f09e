// Live logs: asks for what came since the newest line seen, every second, and keeps the newest lines. Knows no component.
import { asApiError, type ApiError } from './api/http';
import { queryRange, type Entry } from './api/loki';
import { merge } from './logs';
import { time } from './time.svelte';

const EVERY_MS = 1000;
/** How far back to ask again, so that a line that arrives late is not lost; merging drops what is known. */
const OVERLAP_NS = 5_000_000_000n;
const FIRST_NS = 60_000_000_000n;

export class Tail {
  entries = $state.raw<Entry[]>([]);
  error = $state.raw<ApiError | null>(null);
  paused = $state(false);
  since = $state(0);
  now = $state(0);
  #limit: number;
  constructor(limit: number) {
    this.#limit = limit;
  }
  /** Starts following; the returned function stops. For use in an effect. */
  follow(query: string): () => void {
    const stop = new AbortController();
    let timer = 0;
    this.entries = [];
    this.error = null;
    this.paused = false;
    this.since = time.nowMs() / 1000 - 60;
    this.now = time.nowMs() / 1000;
    const ask = async () => {
      if (!this.paused && !document.hidden) {
        const end = BigInt(Math.round(time.nowMs())) * 1_000_000n + 1_000_000_000n;
        const last = this.entries[0];
        const start = last ? BigInt(last.ns) - OVERLAP_NS : end - FIRST_NS;
        try {
          const fresh = await queryRange({ query, start: String(start), end: String(end), limit: this.#limit, direction: last ? 'forward' : 'backward' }, stop.signal);
          if (stop.signal.aborted) return;
          this.entries = merge(this.entries, fresh, this.#limit);
          this.error = null;
        } catch (error) {
          if (stop.signal.aborted) return;
          this.error = asApiError(error);
        }
        this.now = time.nowMs() / 1000;
        this.since = Math.min(this.now - 60, (this.entries[this.entries.length - 1]?.ms ?? Infinity) / 1000);
      }
      timer = window.setTimeout(ask, EVERY_MS);
    };
    void ask();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }
}
