import { expect, test } from 'vitest';
import { align, isLive, resolve, shift, stepFor, type Range } from './range';

const NOW = 1_700_000_000_000;
const check = (range: Range, expected: [number, number]) => {
  const w = resolve(range, NOW);
  expect([w.start - NOW / 1000, w.end - NOW / 1000], JSON.stringify(range)).toEqual(expected);
};

test('a range of the URL becomes seconds, nonsense becomes the last quarter of an hour', () => {
  check({ from: 'now-15m', to: 'now' }, [-900, 0]);
  check({ from: 'now-2d', to: 'now-1d' }, [-172800, -86400]);
  check({ from: String(NOW - 5000), to: String(NOW - 1000) }, [-5, -1]);
  check({ from: 'yesterday-ish', to: 'soon' }, [-900, 0]);
  check({ from: 'now', to: 'now-1h' }, [-4500, -3600]);
});
test('only a range that ends now refreshes', () => {
  expect(isLive({ from: 'now-1h', to: 'now' })).toBe(true);
  expect(isLive({ from: 'now-2h', to: 'now-1h' })).toBe(false);
  expect(isLive({ from: '1700000000000', to: 'now' })).toBe(false);
});
test('shifting moves by half the range, and never into the future', () => {
  const back = shift({ from: 'now-1h', to: 'now' }, -1, NOW);
  check(back, [-5400, -1800]);
  check(shift(back, 1, NOW), [-3600, 0]);
  check(shift({ from: 'now-1h', to: 'now' }, 1, NOW), [-3600, 0]);
});
test('steps are round and keep the number of points bounded', () => {
  for (const seconds of [60, 900, 3600, 86400, 604800, 31536000]) {
    const w = { start: 0, end: seconds };
    const step = stepFor(w, 120);
    expect(seconds / step, `${seconds}`).toBeLessThanOrEqual(120);
    const aligned = align({ start: 1234.5, end: 1234.5 + seconds }, step);
    expect([aligned.start % step, aligned.end % step]).toEqual([0, 0]);
  }
});
