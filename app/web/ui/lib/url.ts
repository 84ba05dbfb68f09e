// The page's state as it stands in the URL: the path below /ui/, and parameters of which some (the time) follow from page to page. Pure.
export const BASE = '/ui';
/** Carried along by every link: a range picked once holds on every page. */
export const CARRIED = ['from', 'to', 'refresh'] as const;
export type Params = Record<string, string | number | boolean | null | undefined>;

/** The decoded parts of a path below /ui/; nonsense in percent-encoding is kept as it is. */
export function segments(pathname: string): string[] {
  const rest = pathname.startsWith(BASE) ? pathname.slice(BASE.length) : pathname;
  return rest.split('/').filter(Boolean).map((s) => {
    try { return decodeURIComponent(s); } catch { return s; }
  });
}
export function path(...parts: string[]): string {
  return [BASE, ...parts.map(encodeURIComponent)].join('/');
}
/** Sets what has a value, drops what is null, undefined, false or empty; keeps the rest. */
export function patched(search: URLSearchParams, patch: Params): URLSearchParams {
  const next = new URLSearchParams(search);
  for (const [key, v] of Object.entries(patch)) {
    if (v == null || v === '' || v === false) next.delete(key);
    else next.set(key, v === true ? '1' : String(v));
  }
  return next;
}
/** A link to another page: its own parameters and the carried ones of the present page. */
export function link(to: string, own: Params, present: URLSearchParams): string {
  const carried = new URLSearchParams();
  for (const key of CARRIED) {
    const v = present.get(key);
    if (v) carried.set(key, v);
  }
  const text = patched(carried, own).toString();
  return text ? `${to}?${text}` : to;
}
