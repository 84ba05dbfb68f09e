// Sends the traces, logs and metrics of a small shop to a running engine by OTLP/HTTP as JSON: some minutes of the past at once, then on in real time.
// `node dev/feed.mjs [engine] [minutes]`, Ctrl-C ends it.
import * as shop from './shop.mjs';

const engine = process.argv[2] ?? 'http://127.0.0.1:4300';
const minutes = Number(process.argv[3] ?? 10);
const KINDS = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 };
const SEVERITY = { debug: 5, info: 9, warn: 13, error: 17 };
const attr = (key, value) => ({ key, value: typeof value === 'number' ? { intValue: String(value) } : typeof value === 'boolean' ? { boolValue: value } : { stringValue: String(value) } });
const resource = (service, more = []) => ({ attributes: [attr('service.name', service), attr('service.version', '1.2.0'), attr('service.instance.id', `${service}-1`), ...more] });
const ns = (us) => `${Math.round(us)}000`;

async function post(signal, body) {
  const response = await fetch(`${engine}/v1/${signal}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${signal}: ${response.status} ${await response.text()}`);
}
async function traces(from, to) {
  const byService = new Map();
  for (const trace of shop.traces(from, to)) {
    for (const s of trace.spans) {
      const service = trace.processes[s.processID].serviceName;
      const tag = (key) => s.tags.find((t) => t.key === key)?.value;
      const span = {
        traceId: s.traceID, spanId: s.spanID, parentSpanId: s.references[0]?.spanID ?? '', name: s.operationName, kind: KINDS[tag('span.kind')] ?? 1, startTimeUnixNano: ns(s.startTime), endTimeUnixNano: ns(s.startTime + s.duration),
        attributes: s.tags.filter((t) => !/^(span\.kind|error|otel\.)/.test(t.key)).map((t) => attr(t.key, t.value)), status: tag('error') ? { code: 2, message: tag('otel.status_description') } : {},
        events: s.logs.map((l) => ({ timeUnixNano: ns(l.timestamp), name: 'exception', attributes: l.fields.slice(1).map((f) => attr(f.key, f.value)) })),
      };
      byService.set(service, [...(byService.get(service) ?? []), span]);
    }
  }
  if (byService.size) await post('traces', { resourceSpans: [...byService].map(([service, spans]) => ({ resource: resource(service, [attr('host.name', 'ada')]), scopeSpans: [{ scope: { name: 'feed' }, spans }] })) });
}
async function logs(from, to) {
  const byService = new Map();
  for (const line of shop.lines(from, to)) byService.set(line.service, [...(byService.get(line.service) ?? []), line]);
  const resourceLogs = [...byService].map(([service, all]) => ({
    resource: resource(service, [attr('deployment.environment.name', 'prod')]),
    scopeLogs: [{ scope: {}, logRecords: all.map(({ timeUnixNano, text, level, traceId }) => ({
      timeUnixNano, body: { stringValue: text }, severityText: level.toUpperCase(), severityNumber: SEVERITY[level],
      ...(traceId ? { traceId, spanId: '0000000000000001' } : {}),
      ...(level === 'error' ? { attributes: [attr('exception.type', 'BankUnavailable')] } : {}),
    })) }],
  }));
  if (resourceLogs.length) await post('logs', { resourceLogs });
}
const began = Date.now() / 1000 - minutes * 60;
async function metrics(at) {
  const t = `${Math.round(at * 1e3)}000000`;
  const start = `${Math.round(began * 1e3)}000000`;
  const n = Math.floor((at - began) * 3);
  await post('metrics', { resourceMetrics: ['gateway', 'cart', 'checkout'].map((service, i) => ({ resource: resource(service), scopeMetrics: [{ scope: { name: 'feed' }, metrics: [
    { name: 'shop.orders', unit: '{order}', description: 'Orders placed.', sum: { aggregationTemporality: 2, isMonotonic: true, dataPoints: [{ asInt: String(n * (i + 1)), timeUnixNano: t, startTimeUnixNano: start, attributes: [attr('currency', 'EUR')] }] } },
    { name: 'process.memory.usage', unit: 'By', description: 'Memory in use.', gauge: { dataPoints: [{ asDouble: 8e7 + 1e7 * Math.sin(at / 60 + i), timeUnixNano: t, attributes: [] }] } },
    { name: 'http.server.request.duration', unit: 's', description: 'Duration of HTTP server requests.', histogram: { aggregationTemporality: 2, dataPoints: [{ count: String(n * 4), sum: n * 0.4, bucketCounts: [n, n, n, n, 0].map(String), explicitBounds: [0.01, 0.05, 0.1, 0.5], timeUnixNano: t, startTimeUnixNano: start, attributes: [attr('http.route', '/checkout')] }] } },
  ] }] })) });
}
let at = began;
for (;;) {
  const now = Date.now() / 1000 - 2;
  while (at < now) {
    const to = Math.min(now, at + 15);
    await traces(at, to);
    await logs(at, to);
    await metrics(to);
    at = to;
  }
  await new Promise((done) => setTimeout(done, 5000));
}
