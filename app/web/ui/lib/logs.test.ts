import { expect, test } from 'vitest';
import { flatten, type Entry } from './api/loki';
import { level, merge, volume, volumeOf, withMatcher, withStage } from './logs';

test('a click on a label changes the selector and nothing else', () => {
  const check = (query: string, op: '=' | '!=', expected: string) => expect(withMatcher(query, 'env', op, 'a"b')).toBe(expected);
  check('{service_name="cart"} |= "x"', '=', '{service_name="cart", env="a\\"b"} |= "x"');
  check('{env="dev", b="}"} |= "}"', '=', '{env="a\\"b", b="}"} |= "}"');
  check('{env="dev"}', '!=', '{env="dev", env!="a\\"b"}');
  check('{}', '=', '{env="a\\"b"}');
  expect(withMatcher('{a="b, env=\\"x\\""}', 'c', '=', 'd')).toBe('{a="b, env=\\"x\\"", c="d"}');
  expect(withStage('{a="b"}', 'trace_id', '=', 'ff')).toBe('{a="b"} | trace_id="ff"');
  expect(withStage('{a="b"} | trace_id="ff"', 'trace_id', '=', 'ff')).toBe('{a="b"} | trace_id="ff"');
});
test('levels by any of their names', () => {
  const check = (labels: Record<string, string>, expected: string) => expect(level(labels)).toBe(expected);
  check({ detected_level: 'warn' }, 'warning');
  check({ severity_text: 'ERROR' }, 'error');
  check({ level: 'Fatal' }, 'critical');
  check({ detected_level: 'info', level: 'error' }, 'info');
  check({}, 'unknown');
});
test('streams become one list, newest first, to the nanosecond; polling twice adds nothing twice', () => {
  const streams = [
    { stream: { service_name: 'a' }, values: [['1700000000000000001', 'one'], ['1700000000000000003', 'three']] as [string, string][] },
    { stream: { service_name: 'b' }, values: [['1700000000000000002', 'two'], ['1700000000000000003', 'three']] as [string, string][] },
  ];
  const entries = flatten(streams);
  expect(entries.map((e) => e.line)).toEqual(['three', 'three', 'two', 'one']);
  expect(merge(entries, entries, 100)).toBe(entries);
  const twins = flatten([{ stream: {}, values: [['1', 'same'], ['1', 'same']] }]);
  expect(new Set(twins.map((e) => e.key)).size).toBe(2);
  expect(merge(twins, flatten([{ stream: {}, values: [['1', 'same'], ['1', 'same']] }]), 100)).toBe(twins);
  const late: Entry = { ...(entries[3] as Entry), ns: '1700000000000000000', line: 'zero', key: 'zero' };
  expect(merge(entries, [late, entries[0] as Entry], 100).map((e) => e.line)).toEqual(['three', 'three', 'two', 'one', 'zero']);
  expect(merge(entries, [late], 3).map((e) => e.line)).toEqual(['three', 'three', 'two']);
});
test('every line counts in exactly one bar', () => {
  const at = (ms: number): Entry => ({ ns: String(ms), ms, line: '', labels: { detected_level: 'error' }, key: '' });
  const bars = volume([at(0), at(999), at(5_000), at(10_000)], { start: 0, end: 10 }, 10);
  expect(bars.map((b) => b.total)).toEqual([2, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
  expect(bars[0]?.byLevel).toEqual({ error: 2 });
});
test('counts by level become bars that end where their points stand', () => {
  const counts = [{ labels: { detected_level: 'error' }, points: [[10, 2], [30, 1]] as [number, number][] }, { labels: { detected_level: 'info' }, points: [[10, 5], [50, 9]] as [number, number][] }];
  const bars = volumeOf(counts, { start: 0, end: 25 }, 10);
  expect(bars.map((b) => [b.start, b.end, b.total])).toEqual([[0, 10, 7], [10, 20, 0], [20, 30, 1]]);
  expect(bars[0]?.byLevel).toEqual({ error: 2, info: 5 });
});
