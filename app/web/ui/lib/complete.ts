// What could stand at the cursor of a PromQL or LogQL query, and the query cut into coloured words. Pure; the values come from elsewhere.
export type Language = 'promql' | 'logql';
export type Wanted =
  | { kind: 'name'; from: number; prefix: string }
  | { kind: 'label'; from: number; prefix: string; metric: string }
  | { kind: 'value'; from: number; prefix: string; metric: string; label: string }
  | { kind: 'none' };

const WORD = /[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/** Reads the text left of the cursor; strings are skipped, so a brace inside one counts for nothing. */
export function wanted(text: string, cursor: number): Wanted {
  let quoted = '';
  let quoteAt = 0;
  let brace = -1;
  let by = false;
  for (let i = 0; i < cursor; i++) {
    const c = text[i] as string;
    if (quoted) {
      if (c === '\\' && quoted !== '`') i++;
      else if (c === quoted) quoted = '';
    } else if (c === '"' || c === "'" || c === '`') {
      quoted = c;
      quoteAt = i;
    } else if (c === '{') brace = i;
    else if (c === '}') brace = -1;
    else if (c === '(') by = /\b(by|without|on|ignoring|group_left|group_right)\s*$/.test(text.slice(0, i));
    else if (c === ')') by = false;
  }
  const metric = brace >= 0 ? (/([a-zA-Z_:][a-zA-Z0-9_:]*)\s*$/.exec(text.slice(0, brace))?.[1] ?? '') : '';
  if (quoted) {
    const label = brace >= 0 ? /([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*$/.exec(text.slice(0, quoteAt))?.[1] : undefined;
    return label ? { kind: 'value', from: quoteAt + 1, prefix: text.slice(quoteAt + 1, cursor), metric, label } : { kind: 'none' };
  }
  const prefix = WORD.exec(text.slice(0, cursor))?.[0] ?? '';
  const from = cursor - prefix.length;
  if (brace >= 0) {
    return /[{,]\s*$/.test(text.slice(0, from)) ? { kind: 'label', from, prefix, metric } : { kind: 'none' };
  }
  if (by) return { kind: 'label', from, prefix, metric: lastName(text.slice(0, from)) };
  if (/[[\d.]\s*$/.test(text.slice(0, from))) return { kind: 'none' };
  return { kind: 'name', from, prefix };
}
/** `sum by (` comes before its metric as often as after; the names in the whole text are the best guess. */
function lastName(left: string): string {
  const all = left.match(/[a-zA-Z_:][a-zA-Z0-9_:]*(?=\s*[{[)])/g);
  return all?.[all.length - 1] ?? '';
}

export interface Option { text: string; detail: string; help: string }
/** Prefix matches first, then words that contain it, then its letters in order; at most `limit`. */
export function rank(options: Option[], prefix: string, limit = 40): Option[] {
  const p = prefix.toLowerCase();
  if (!p) return options.slice(0, limit);
  const scored: [number, Option][] = [];
  for (const o of options) {
    const t = o.text.toLowerCase();
    const at = t.indexOf(p);
    const score = t === p ? 0 : at === 0 ? 1 : at > 0 ? 2 : p.length > 2 && inOrder(t, p) ? 3 : -1;
    if (score >= 0) scored.push([score, o]);
  }
  return scored.sort((a, b) => a[0] - b[0] || a[1].text.length - b[1].text.length).slice(0, limit).map(([, o]) => o);
}
function inOrder(text: string, letters: string): boolean {
  let i = 0;
  for (const c of text) if (c === letters[i]) i++;
  return i === letters.length;
}

export interface Token { text: string; class: 'string' | 'number' | 'function' | 'keyword' | 'label' | 'op' | 'name' | 'comment' | '' }
const LEXER = /(#[^\n]*)|("(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|`[^`]*`?)|(\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?:ms|[smhdwy])?(?:\d+(?:ms|[smhdwy]))*\b|\b0x[\da-fA-F]+\b)|([a-zA-Z_:][a-zA-Z0-9_:]*)|(\|=|\|~|\|>|!~|!=|=~|==|>=|<=|[-+*/%^<>=|@])|(\s+|.)/gs;
const KEYWORDS = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'offset', 'bool', 'and', 'or', 'unless', 'atan2', 'json', 'logfmt', 'line_format', 'label_format', 'unwrap', 'start', 'end']);
export function tokens(text: string): Token[] {
  const out: Token[] = [];
  let inBraces = false;
  for (const m of text.matchAll(LEXER)) {
    const [all, comment, string, number, word, op] = m;
    if (all === '{') inBraces = true;
    if (all === '}') inBraces = false;
    const after = text.slice(m.index + all.length);
    const kind: Token['class'] = comment ? 'comment' : string ? 'string' : number ? 'number' : op ? 'op' : !word ? ''
      : inBraces ? 'label' : KEYWORDS.has(word) ? 'keyword' : /^\s*(\(|(by|without)\b)/.test(after) ? 'function' : 'name';
    out.push({ text: all, class: kind });
  }
  return out;
}
