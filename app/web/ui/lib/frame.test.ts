import { expect, test } from 'vitest';
import { ApiError } from './api/http';
import { tagsJson } from './api/jaeger';
import { shortNames } from './api/prometheus';
import { stacked, stats, toFrame } from './frame';
import { sorted } from './sort';

test('points fall on the grid of the query; a hole stays a hole', () => {
  const frame = toFrame([{ labels: {}, points: [[10, 1], [30, 3]] }, { labels: {}, points: [[20.0004, 2], [40, NaN], [99, 9]] }], { start: 10, end: 40 }, 10);
  expect(frame.times).toEqual([10, 20, 30, 40]);
  expect(frame.columns).toEqual([[1, null, 3, null], [null, 2, null, null]]);
  expect(stats(frame.columns[0] ?? [])).toEqual({ last: 3, min: 1, max: 3, avg: 2 });
  expect(stats([null]).last).toBe(null);
  expect(stacked([[1, null, 3, null], [10, 20, null, null]])).toEqual([[1, 0, 3, null], [11, 20, 3, null]]);
});
test('series are told apart by what differs', () => {
  expect(shortNames([{ __name__: 'up', job: 'a', env: 'x' }, { __name__: 'up', job: 'b', env: 'x' }])).toEqual(['a', 'b']);
  expect(shortNames([{ status_code: 'STATUS_CODE_UNSET' }])).toEqual(['STATUS_CODE_UNSET']);
  expect(shortNames([{ __name__: 'up', job: 'a', env: 'x' }])).toEqual(['up{job="a", env="x"}']);
  expect(shortNames([{ job: 'a', instance: 'a-1:80' }, { job: 'b', instance: 'b-1:80' }])).toEqual(['a', 'b']);
  expect(shortNames([{ job: 'a', mode: 'x' }, { job: 'a', mode: 'y' }, { job: 'b', mode: 'x' }])).toEqual(['job=a mode=x', 'job=a mode=y', 'job=b mode=x']);
  expect(shortNames([{}])).toEqual(['{}']);
});
test('an error knows its place', () => {
  const check = (message: string, place: [number, number] | null) => expect(new ApiError(message, 400).place, message).toEqual(place && { line: place[0], column: place[1] });
  check('invalid parameter "query": 1:5: parse error: unexpected end of input', [1, 5]);
  check('parse error at line 1, col 3: syntax error', [1, 3]);
  check('connection refused 127.0.0.1:4300', null);
});
test('tags of a search, as Jaeger wants them', () => {
  expect(tagsJson('a=1 b.c="x y" error=true')).toBe('{"a":"1","b.c":"x y","error":"true"}');
  expect(tagsJson('  ')).toBe(undefined);
  for (const bad of ['a', 'a=1 b', '=x', 'a="x']) expect(tagsJson(bad), bad).toBe(null);
});
test('rows without a value come last either way', () => {
  const rows = [{ n: 2 }, { n: null }, { n: 1 }];
  expect(sorted(rows, 'n', { n: (r) => r.n }).map((r) => r.n)).toEqual([1, 2, null]);
  expect(sorted(rows, '-n', { n: (r) => r.n }).map((r) => r.n)).toEqual([2, 1, null]);
});
