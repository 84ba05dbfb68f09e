import { expect, test } from 'vitest';
import { rank, tokens, wanted } from './complete';

/** `|` is the cursor. */
function check(text: string, expected: string) {
  const cursor = text.indexOf('|');
  const w = wanted(text.replace('|', ''), cursor);
  const shown = w.kind === 'none' ? 'none' : [w.kind, w.prefix, 'metric' in w ? w.metric : '', w.kind === 'value' ? w.label : ''].join(' ').trim().replace(/ +/g, ' ');
  expect(shown, text).toBe(expected);
}
test('what is wanted at the cursor', () => {
  check('|', 'name');
  check('sum(rate(http_re|', 'name http_re');
  check('up{|', 'label up');
  check('up{job="a", inst|', 'label inst up');
  check('up{job="a|"}', 'value a up job');
  check('up{job=~"|', 'value up job');
  check('up{job="}{", inst|', 'label inst up');
  check('up{job |', 'none');
  check('rate(up[5|', 'none');
  check('sum by (|', 'label');
  check('sum by (job, ins|) (rate(up[5m]))', 'label ins');
  check('"text {|', 'none');
  check('{job="a"} + pro|', 'name pro');
});
test('what begins with the letters comes first', () => {
  const options = ['xx_http', 'http_requests_total', 'http', 'high_traffic_total_pages'].map((text) => ({ text, detail: '', help: '' }));
  expect(rank(options, 'http').map((o) => o.text)).toEqual(['http', 'http_requests_total', 'xx_http', 'high_traffic_total_pages']);
  expect(rank(options, 'zzz')).toEqual([]);
});
test('colouring loses no character', () => {
  for (const text of ['sum by (a) (rate(x{b=~"c\\"d"}[5m])) > 1.5e3 # end', '{a="b"} |= `x` != "y', 'ünïcode "', '']) expect(tokens(text).map((t) => t.text).join('')).toBe(text);
  expect(tokens('sum(rate(up[5m]))').filter((t) => t.class === 'function').map((t) => t.text)).toEqual(['sum', 'rate']);
});
