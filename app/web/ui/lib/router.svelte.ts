// Where the page is: a reactive mirror of the address bar, and the only place that writes to it. Knows no page.
import { link, patched, segments, type Params } from './url';

const place = $state({ pathname: location.pathname, search: location.search });
const params = $derived(new URLSearchParams(place.search));
const parts = $derived(segments(place.pathname));

export const route = {
  get parts() { return parts; },
  get pathname() { return place.pathname; },
  get params() { return params; },
  get(name: string): string { return params.get(name) ?? ''; },
};

function sync() {
  place.pathname = location.pathname;
  place.search = location.search;
}
export function go(url: string, replace = false) {
  if (url === location.pathname + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', url);
  sync();
}
/** Changes parameters of the present page; `replace` for what should not be a step of its own in the history. */
export function set(patch: Params, replace = false) {
  const text = patched(params, patch).toString();
  go(location.pathname + (text ? `?${text}` : ''), replace);
}
export const href = (to: string, own: Params = {}) => link(to, own, params);

/** Same-origin links below /ui/ become client navigation; everything else is the browser's. */
function onClick(event: MouseEvent) {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const a = (event.target as Element | null)?.closest?.('a');
  const to = a?.getAttribute('href');
  if (!a || !to?.startsWith('/ui/') || a.target || a.hasAttribute('download')) return;
  event.preventDefault();
  go(to);
}
export function startRouter() {
  addEventListener('popstate', sync);
  document.addEventListener('click', onClick);
  if (parts.length === 0 || parts[0] === 'index.html') go('/ui/services' + location.search, true);
}
