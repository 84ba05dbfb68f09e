import { expect, test } from 'vitest';
import { link, patched, path, segments } from './url';

test('names with slashes, spaces and percent signs survive the address bar', () => {
  for (const name of ['cart', 'shop/cart', 'GET /x', '100%', 'größe', 'a?b#c']) expect(segments(path('services', name))).toEqual(['services', name]);
  expect(segments('/ui/services/%zz')).toEqual(['services', '%zz']);
  expect(segments('/ui/')).toEqual([]);
});
test('a link carries the time range and nothing else of the page it stands on', () => {
  const present = new URLSearchParams('from=now-1h&refresh=5s&sort=-rate&q=up');
  expect(link('/ui/logs', { q: '{a="b"}' }, present)).toBe('/ui/logs?from=now-1h&refresh=5s&q=%7Ba%3D%22b%22%7D');
  expect(link('/ui/logs', { from: '1', to: '2' }, present)).toBe('/ui/logs?from=1&refresh=5s&to=2');
  expect(link('/ui/traces', {}, new URLSearchParams())).toBe('/ui/traces');
});
test('an empty value leaves the URL', () => {
  expect(patched(new URLSearchParams('a=1&b=2'), { a: null, b: '', c: true, d: 0 }).toString()).toBe('c=1&d=0');
});
