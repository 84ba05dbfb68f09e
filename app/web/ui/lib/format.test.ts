import { expect, test } from 'vitest';
import { bytes, duration, guessUnit, percent, perSecond, rateNote, short, type Unit } from './format';

test('numbers as a person reads them', () => {
  const table: [string, string][] = [
    [duration(0), '0 s'], [duration(0.0123), '12.3 ms'], [duration(8.2e-4), '820 µs'], [duration(0.9999), '1 s'], [duration(1.5), '1.5 s'], [duration(125), '2 min 5 s'],
    [duration(3599.9), '60 min'], [duration(7261), '2 h 1 min'], [duration(15 * 86400), '15 d'], [duration(null), '–'], [duration(NaN), '–'],
    [percent(0.042), '4.2 %'], [percent(0), '0 %'], [percent(0.00001), '<0.01 %'], [percent(1), '100 %'], [percent(0.999), '99.9 %'],
    [bytes(1536), '1.5 KiB'], [bytes(0), '0 B'], [bytes(2 ** 30), '1 GiB'], [short(1234567), '1.23 M'], [short(0.001), '0.001'], [short(-42), '-42'], [short(Infinity), '∞'],
    [perSecond(18.3), '18.3/s'], [perSecond(0.00573), '0.0057/s'], [perSecond(0.416), '0.416/s'], [perSecond(0), '0/s'], [perSecond(null), '–'],
  ];
  table.push(
    [rateNote(0.00573, 900), '20.6 an hour, over the last 15 min for which there is data'], [rateNote(0.5, 125.2), '30 a minute, over the last 2 min 5 s for which there is data'],
    [rateNote(18, 60), 'over the last 1 min for which there is data'], [rateNote(null, null), ''],
  );
  for (const [got, expected] of table) expect(got).toBe(expected);
});
test('units follow the naming conventions of metrics', () => {
  const check = (expression: string, unit: Unit) => expect(guessUnit(expression), expression).toBe(unit);
  check('sum(rate(http_requests_total[5m]))', '/s');
  check('process_resident_memory_bytes', 'bytes');
  check('rate(node_network_receive_bytes_total[1m])', 'bytes/s');
  check('histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))', 's');
  check('histogram_quantile(0.95, sum by (le) (rate(traces_spanmetrics_latency_bucket[5m])))', 's');
  check('count(process_resident_memory_bytes)', 'short');
  check('node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes', 'short');
  check('up{path="/a/b"}', 'short');
  check('rate(node_cpu_seconds_total[1m])', 'short');
});
