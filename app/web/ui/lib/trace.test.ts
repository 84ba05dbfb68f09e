import { expect, test } from 'vitest';
import type { RawSpan, RawTrace } from './api/jaeger';
import { build, summarise, visible } from './trace';

/** `id parent start duration [error]` a line. */
function trace(text: string): RawTrace {
  const spans = text.trim().split('\n').map((line): RawSpan => {
    const [id = '', parent = '-', start = '0', duration = '0', error] = line.trim().split(/\s+/);
    return {
      traceID: 't', spanID: id, operationName: id, processID: 'p1', startTime: 1_000_000 + Number(start), duration: Number(duration),
      references: parent === '-' ? [] : [{ refType: 'CHILD_OF', traceID: 't', spanID: parent }], tags: error ? [{ key: 'error', value: true }] : null, logs: null,
    };
  });
  return { traceID: 't', spans, processes: { p1: { serviceName: 'shop' } } };
}
const tree = (text: string) => build(trace(text)).spans.map((s) => '.'.repeat(s.depth) + s.id).join(' ');

test('spans in any order become a tree, children by their start', () => {
  expect(tree('c a 50 10\nb a 10 20\na - 0 100\nd b 12 5')).toBe('a .b ..d .c');
  expect(tree('a - 0 10\nlost gone 2 3')).toBe('a lost');
  expect(tree('a b 0 10\nb a 1 5')).toMatch(/^(a \.b|b \.a)$/);
  expect(tree('self self 0 10')).toBe('self');
  expect(build({ traceID: 't', spans: [], processes: {} }).duration).toBe(0);
});
test('a trace of ten thousand spans below each other does not overflow the stack', () => {
  const deep = Array.from({ length: 10_000 }, (_, i) => `s${i} ${i ? `s${i - 1}` : '-'} ${i} ${20_000 - 2 * i}`).join('\n');
  expect(build(trace(deep)).spans[9_999]?.depth).toBe(9_999);
});
test('what the trace waited for: the last child to end, the one before it, and the gaps', () => {
  const t = build(trace('root - 0 100\nfirst root 10 30\nbeside root 15 20\nlast root 50 40\nlate root 95 50'));
  const critical = Object.fromEntries(t.spans.map((s) => [s.id, s.critical]));
  expect(critical).toEqual({ root: [[0, 10], [40, 50], [90, 100]], first: [[10, 40]], beside: [], last: [[50, 90]], late: [] });
  const covered = t.spans.flatMap((s) => s.critical).reduce((sum, [a, b]) => sum + b - a, 0);
  expect(covered).toBe(100);
});
test('folding hides what is below and still tells of a failure there', () => {
  const t = build(trace('a - 0 100\nb a 10 20\nc b 12 5 error\nd a 50 10'));
  expect(visible(t, new Set(['b'])).map((s) => s.id)).toEqual(['a', 'b', 'd']);
  expect(t.spans[1]).toMatchObject({ id: 'b', below: 1, errorBelow: true, error: false });
  expect(summarise(trace('a - 0 100\nb a 10 20 error'))).toMatchObject({ name: 'a', service: 'shop', spans: 2, errors: 1, duration: 1e-4 });
});
