// The query to begin with for a metric: what its type and name say is worth looking at. Pure.

/** The range of rates: OpenTelemetry's SDKs send once a minute, and a rate wants some samples. */
const RANGE = '5m';

/** `selector` is a bare `{…}` or empty. */
export function starter(metric: { name: string; type: string }, selector = ''): string {
  const { name, type } = metric;
  const of = name + selector;
  if (name.endsWith('_bucket')) return `histogram_quantile(0.95, sum by (le) (rate(${of}[${RANGE}])))`;
  // A histogram without buckets of its own is a native one.
  if (type === 'histogram' && !/_(sum|count)$/.test(name)) return `histogram_quantile(0.95, sum(rate(${of}[${RANGE}])))`;
  if (type === 'counter' || /_(total|sum|count)$/.test(name)) return `sum(rate(${of}[${RANGE}]))`;
  return of;
}
/** A selector without a name, which holds metrics of every kind and unit. */
export const isBareSelector = (query: string) => /^\s*\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\}\s*$/.test(query) && !/__name__/.test(query);
