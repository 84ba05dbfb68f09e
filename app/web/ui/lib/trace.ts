// A trace as a tree of spans, from Jaeger's flat list: parents, depth, errors, the critical path. Pure; times in µs from the trace's start.
import type { RawSpan, RawTrace, Tag } from './api/jaeger';

export interface Span {
  id: string;
  parent: Span | null;
  children: Span[];
  depth: number;
  name: string;
  service: string;
  kind: string;
  start: number;
  duration: number;
  error: boolean;
  raw: RawSpan;
  processTags: Tag[];
  /** The stretches, [from, to], in which the whole trace waited for this very span. */
  critical: [number, number][];
  /** Spans below it, and whether one of them failed: what a collapsed row must still say. */
  below: number;
  errorBelow: boolean;
}
export interface Trace {
  id: string;
  /** Unix µs of the earliest span. */
  start: number;
  duration: number;
  roots: Span[];
  spans: Span[];
  services: { name: string; spans: number }[];
  errors: number;
}

const tag = (tags: Tag[] | null | undefined, key: string) => tags?.find((t) => t.key === key)?.value;
export function isError(span: RawSpan): boolean {
  const e = tag(span.tags, 'error');
  return e === true || e === 'true' || tag(span.tags, 'otel.status_code') === 'ERROR';
}

export function build(raw: RawTrace): Trace {
  const start = raw.spans.reduce((least, s) => Math.min(least, s.startTime), Infinity);
  const byId = new Map<string, Span>();
  for (const s of raw.spans) {
    const process = raw.processes[s.processID];
    byId.set(s.spanID, {
      id: s.spanID, parent: null, children: [], depth: 0, name: s.operationName, service: process?.serviceName ?? 'unknown',
      kind: String(tag(s.tags, 'span.kind') ?? ''), start: s.startTime - start, duration: s.duration, error: isError(s), raw: s,
      processTags: process?.tags ?? [], critical: [], below: 0, errorBelow: false,
    });
  }
  const roots: Span[] = [];
  for (const span of byId.values()) {
    const ref = span.raw.references?.find((r) => r.refType === 'CHILD_OF' && r.traceID === raw.traceID) ?? span.raw.references?.find((r) => r.traceID === raw.traceID);
    const parent = ref && byId.get(ref.spanID);
    if (parent && !descends(parent, span)) {
      span.parent = parent;
      parent.children.push(span);
    } else roots.push(span);
  }
  const byStart = (a: Span, b: Span) => a.start - b.start || b.duration - a.duration;
  const spans: Span[] = [];
  const stack = roots.sort(byStart).slice().reverse();
  for (let s = stack.pop(); s; s = stack.pop()) {
    s.depth = s.parent ? s.parent.depth + 1 : 0;
    spans.push(s);
    stack.push(...s.children.sort(byStart).slice().reverse());
  }
  for (const s of [...spans].reverse()) {
    if (!s.parent) continue;
    s.parent.below += s.below + 1;
    if (s.error || s.errorBelow) s.parent.errorBelow = true;
  }
  const counts = new Map<string, number>();
  for (const s of spans) counts.set(s.service, (counts.get(s.service) ?? 0) + 1);
  if (roots[0]) markCritical(roots[0]);
  return {
    id: raw.traceID, start: Number.isFinite(start) ? start : 0, duration: spans.reduce((d, s) => Math.max(d, s.start + s.duration), 0), roots, spans,
    services: [...counts].map(([name, n]) => ({ name, spans: n })), errors: spans.filter((s) => s.error).length,
  };
}
/** A broken trace may claim a span as its own ancestor; such a link is ignored. */
function descends(span: Span, from: Span): boolean {
  for (let s: Span | null = span; s; s = s.parent) if (s === from) return true;
  return false;
}

/**
 * Walks back from the end: the child that finished last is what its parent waited for; before that child began, the one
 * that finished last before then; the gaps are the parent's own work.
 */
function markCritical(root: Span) {
  const work: [Span, number][] = [[root, root.start + root.duration]];
  for (let item = work.pop(); item; item = work.pop()) {
    const [span, until] = item;
    let at = Math.min(until, span.start + span.duration);
    for (const child of [...span.children].sort((a, b) => b.start + b.duration - (a.start + a.duration))) {
      const end = child.start + child.duration;
      // What ends after the point reached ran beside it, or outlived its parent: nobody waited for that.
      if (end > at || child.start < span.start) continue;
      if (at > end) span.critical.unshift([end, at]);
      work.push([child, end]);
      at = child.start;
    }
    if (at > span.start) span.critical.unshift([span.start, at]);
  }
}

/** The rows to draw: what lies under a collapsed span is left out. */
export function visible(trace: Trace, collapsed: ReadonlySet<string>): Span[] {
  const out: Span[] = [];
  let hiddenBelow = Infinity;
  for (const s of trace.spans) {
    if (s.depth > hiddenBelow) continue;
    hiddenBelow = collapsed.has(s.id) ? s.depth : Infinity;
    out.push(s);
  }
  return out;
}
/** One line of a search result. */
export interface Summary { id: string; name: string; service: string; start: number; duration: number; spans: number; errors: number; services: string[] }
export function summarise(raw: RawTrace): Summary {
  const t = build(raw);
  const root = t.roots[0];
  return {
    id: t.id, name: root?.name ?? '(no span)', service: root?.service ?? '', start: t.start / 1e6, duration: t.duration / 1e6,
    spans: t.spans.length, errors: t.errors, services: t.services.map((s) => s.name),
  };
}
