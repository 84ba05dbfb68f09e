// The releases of one service for every chart below a component: asked once, drawn by each chart. Knows no chart.
import { getContext, setContext } from 'svelte';
import { runs } from './api/deployments';
import { marks, type Mark } from './deploys';
import { load } from './load.svelte';
import { time } from './time.svelte';

const KEY = Symbol('marks');

/** Call while a component initialises; `service()` may be null where none is known. An engine that cannot tell leaves charts without marks. */
export function markReleases(service: () => string | null) {
  const found = load((signal) => {
    const name = service();
    void time.window;
    return name ? runs({ service: name, limit: 100 }, signal).then((page) => marks(page.deployments)) : null;
  });
  setContext(KEY, () => found.data ?? []);
}
export const givenMarks = () => getContext<(() => Mark[]) | undefined>(KEY) ?? (() => []);
