// One way to ask the engine and one kind of error, whatever face answered. Knows no face's paths.
export class ApiError extends Error {
  /** Where in the query, from 1, when the answer says so. */
  place: { line: number; column: number } | null;
  hint: string;
  status: number;
  constructor(message: string, status: number, hint = '') {
    const at = /(?:^|[^\d])(\d+):(\d+): (?:parse|syntax) ?error:?/i.exec(message) ?? /at line (\d+),? col(?:umn)? (\d+)/i.exec(message);
    super(message);
    this.place = at ? { line: Number(at[1]), column: Number(at[2]) } : null;
    this.hint = hint;
    this.status = status;
  }
}
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof TypeError) return new ApiError('The engine does not answer.', 0, 'Is `apm up` still running? This page tries again by itself.');
  return new ApiError(error instanceof Error ? error.message : String(error), 0);
}
const HINTS: Record<number, string> = {
  401: 'This engine wants a token: sign in.',
  403: 'The token of this browser lacks the role for this.',
  404: 'This engine does not have this API; an older version may be running.',
  413: 'The query is too large.',
  422: 'The query was understood but cannot be evaluated: narrow the range or the selection.',
  429: 'The engine is shedding load to stay inside its memory limit; see Settings.',
  503: 'The engine is starting or stopping. This page tries again by itself.',
  504: 'The query took too long: narrow the range or the selection.',
};

/** The error text in any face's form: Prometheus and ours `error`/`message`, Jaeger `errors[].msg`, Loki plain text. */
function explain(body: string, status: number): ApiError {
  let message = body.trim().slice(0, 2000) || `HTTP ${status}`;
  let hint = HINTS[status] ?? '';
  try {
    const json = JSON.parse(body) as { error?: unknown; message?: unknown; hint?: unknown; fix?: unknown; errors?: { msg?: string }[] };
    const nested = typeof json.error === 'object' && json.error ? (json.error as { message?: string; hint?: string }) : null;
    message = nested?.message ?? str(json.error) ?? str(json.message) ?? json.errors?.map((e) => e.msg).join('; ') ?? message;
    hint = nested?.hint ?? str(json.hint) ?? str(json.fix) ?? hint;
  } catch { /* plain text, as Loki answers */ }
  return new ApiError(message, status, hint);
}
const str = (x: unknown) => (typeof x === 'string' && x ? x : undefined);

export type Query = Record<string, string | number | string[] | null | undefined>;
export function encode(query: Query): string {
  const out = new URLSearchParams();
  for (const [key, v] of Object.entries(query)) {
    if (v == null || v === '') continue;
    if (Array.isArray(v)) v.forEach((x) => out.append(key, x));
    else out.set(key, String(v));
  }
  return out.toString();
}
/** Told of every answer that wants a token; an answer to what was asked before `since` changed comes too late to count. */
export const unauthorized = { since: 0, tell: () => {} };
/** Says that a page asks, which has a sign-in form of its own: the browser's must not stand over it. */
const FROM_PAGE = { accept: 'application/json', 'x-apm-page': '1' };

/** GET with a query string, or POST as a form when that string would be too long for a URL. */
export async function ask<T>(path: string, query: Query = {}, signal?: AbortSignal, postable = false): Promise<T> {
  const text = encode(query);
  const long = postable && text.length > 3000;
  const { since } = unauthorized;
  const response = await fetch(long || !text ? path : `${path}?${text}`, {
    signal: signal ?? null,
    credentials: 'same-origin',
    headers: { ...FROM_PAGE, ...(long ? { 'content-type': 'application/x-www-form-urlencoded' } : {}) },
    ...(long ? { method: 'POST', body: text } : {}),
  });
  const body = await response.text();
  if (response.status === 401 && since === unauthorized.since) unauthorized.tell();
  if (!response.ok) throw explain(body, response.status);
  try {
    return JSON.parse(body) as T;
  } catch {
    throw new ApiError(`${path} did not answer with JSON.`, response.status, 'A proxy may stand between this page and the engine.');
  }
}
/** Changes something: a JSON body there, nothing to read back but an error. */
export async function send(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<void> {
  const json = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(path, { method, credentials: 'same-origin', headers: { ...FROM_PAGE, 'content-type': 'application/json' }, ...json });
  if (!response.ok) throw explain(await response.text(), response.status);
}
/** The same where the answer is of interest. */
export async function post<T>(path: string, body: unknown): Promise<T> {
  const response = await fetch(path, { method: 'POST', credentials: 'same-origin', headers: { ...FROM_PAGE, 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw explain(text, response.status);
  return JSON.parse(text) as T;
}
