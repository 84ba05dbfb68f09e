import { expect, test } from 'vitest';
import { isBareSelector, starter } from './starter';

test('each kind of metric begins with the query that suits it', () => {
  const check = (name: string, type: string, expected: string) => expect(starter({ name, type }, '{job="a"}'), name).toBe(expected);
  check('http_requests_total', 'counter', 'sum(rate(http_requests_total{job="a"}[5m]))');
  check('events', 'counter', 'sum(rate(events{job="a"}[5m]))');
  check('latency_seconds_bucket', 'histogram', 'histogram_quantile(0.95, sum by (le) (rate(latency_seconds_bucket{job="a"}[5m])))');
  check('latency_seconds', 'histogram', 'histogram_quantile(0.95, sum(rate(latency_seconds{job="a"}[5m])))');
  check('queue_depth', 'gauge', 'queue_depth{job="a"}');
  check('unheard_of', '', 'unheard_of{job="a"}');
});
test('a selector without a name is told from a query', () => {
  for (const yes of ['{job="a"}', ' {a="}", b=~"x"} ', '{}']) expect(isBareSelector(yes), yes).toBe(true);
  for (const no of ['up', 'up{job="a"}', '{job="a"} + 1', '{__name__="up"}', 'sum({job="a"})', '{job="a"}[5m]']) expect(isBareSelector(no), no).toBe(false);
});
