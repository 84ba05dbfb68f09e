// Plausible metrics for the mock: it does not evaluate PromQL, it recognises what the page asks and draws a smooth curve for it.
export const SERVICES = [
  { name: 'gateway', rate: 42, err: 0.004, p: [0.021, 0.11, 0.24], verdict: 'ok', version: '2.14.0' },
  { name: 'cart', rate: 18.3, err: 0.0, p: [0.006, 0.021, 0.05], verdict: 'ok', version: '1.2.0' },
  { name: 'checkout', rate: 4.1, err: 0.042, p: [0.18, 0.82, 1.9], verdict: 'critical', version: '1.9.3', reasons: ['error ratio 4.2 % (was 0.1 % an hour ago)', 'p95 820 ms (was 310 ms)'] },
  { name: 'payment', rate: 4.0, err: 0.011, p: [0.09, 0.41, 0.7], verdict: 'warning', version: null, reasons: ['p95 410 ms, above its objective of 300 ms'] },
  { name: 'inventory', rate: 12.7, err: 0.0002, p: [0.004, 0.012, 0.03], verdict: 'ok', version: '0.8.1' },
  { name: 'mailer', rate: null, err: null, p: [null, null, null], verdict: 'unknown', version: '0.3.0', logsOnly: true },
];
const OPS = {
  gateway: ['GET /', 'GET /products', 'POST /cart', 'POST /checkout', 'GET /health'], cart: ['GET /cart/{id}', 'POST /cart/{id}/items', 'redis GET'],
  checkout: ['POST /checkout', 'quote', 'charge card'], payment: ['POST /charge', 'SELECT payments'], inventory: ['GET /stock/{sku}', 'SELECT stock'],
};
const METRICS = {
  traces_spanmetrics_calls_total: ['counter', 'Number of spans by service, operation, kind and status.'],
  traces_spanmetrics_latency_bucket: ['histogram', 'Duration of spans in seconds.'], traces_spanmetrics_latency_sum: ['histogram', 'Duration of spans in seconds.'], traces_spanmetrics_latency_count: ['histogram', 'Duration of spans in seconds.'],
  node_cpu_seconds_total: ['counter', 'Seconds the CPUs spent in each mode.'], node_memory_MemAvailable_bytes: ['gauge', 'Memory available for new work.'], node_memory_MemTotal_bytes: ['gauge', 'Memory of the machine.'], node_load1: ['gauge', '1 minute load average.'],
  http_server_request_duration_seconds_bucket: ['histogram', 'Duration of HTTP server requests.'], process_resident_memory_bytes: ['gauge', 'Resident memory size in bytes.'], shop_orders_total: ['counter', 'Orders placed.'], up: ['gauge', '1 when the target could be scraped.'],
  apm_ingest_samples_total: ['counter', 'Samples accepted since the start.'],
};
const noise = (seed, t) => Math.sin(t / 97 + seed) * 0.12 + Math.sin(t / 31 + seed * 3.1) * 0.06 + Math.sin(t / 7 + seed * 7.7) * 0.03;
const hash = (s) => [...s].reduce((h, c) => (h * 31 + c.charCodeAt(0)) >>> 0, 7);

export function services(start, end) {
  return SERVICES.map((s) => ({
    name: s.name, rate: s.rate, error_ratio: s.err, p50_seconds: s.p[0], p95_seconds: s.p[1], p99_seconds: s.p[2], verdict: s.verdict, reasons: s.reasons ?? [],
    signals: { traces: !s.logsOnly, logs: true, metrics: !s.logsOnly }, version: s.version,
    sparkline: s.rate == null ? [] : Array.from({ length: 30 }, (_, i) => { const t = start + ((end - start) * i) / 29; return [t, s.rate * (1 + noise(hash(s.name), t))]; }),
  }));
}
export const operations = (name) => (OPS[name] ?? []).map((op, i) => {
  const s = SERVICES.find((x) => x.name === name);
  return { name: op, kind: /^(redis|SELECT)/.test(op) ? 'SPAN_KIND_CLIENT' : /^[A-Z]+ \//.test(op) ? 'SPAN_KIND_SERVER' : 'SPAN_KIND_INTERNAL', rate: s.rate / (i + 1.5), error_ratio: i === 0 ? s.err * 1.8 : 0, p50_seconds: s.p[0] / (i + 1), p95_seconds: s.p[1] / (i + 1), p99_seconds: s.p[2] / (i + 1) };
});

/** Which series an expression gives, each with the level of its curve. */
function curves(expr) {
  const service = SERVICES.find((s) => expr.includes(`"${s.name}"`)) ?? SERVICES[0];
  const q = /histogram_quantile\(([\d.]+)/.exec(expr);
  if (q) return [[{}, service.p[q[1] === '0.5' ? 0 : q[1] === '0.95' ? 1 : 2] ?? 0.1]];
  if (/status_code\)/.test(expr)) return [[{ status_code: 'STATUS_CODE_UNSET' }, service.rate], [{ status_code: 'STATUS_CODE_ERROR' }, service.rate * service.err]];
  if (/STATUS_CODE_ERROR/.test(expr)) return [[{}, service.err]];
  if (/mode="idle"/.test(expr)) return [[{ instance: 'ada:9100' }, 0.34]];
  if (/MemAvailable/.test(expr)) return [[{ instance: 'ada:9100' }, 0.61]];
  if (/node_load1/.test(expr)) return [[{ __name__: 'node_load1', instance: 'ada:9100', job: 'node' }, 1.4]];
  if (/^sum\(/.test(expr)) return [[{}, 21]];
  const by = /by \((\w+)\)/.exec(expr)?.[1];
  if (by) return SERVICES.slice(0, 5).map((s) => [{ [by]: s.name }, s.rate]);
  const name = /[a-zA-Z_:][\w:]*/.exec(expr)?.[0] ?? '';
  return SERVICES.slice(0, 5).map((s) => [{ __name__: METRICS[name] ? name : 'process_resident_memory_bytes', job: s.name, service_name: s.name, instance: `${s.name}-1:8080` }, 8e7 + hash(s.name) % 9e7]);
}
const value = (level, labels, t) => String(level * (1 + noise(hash(JSON.stringify(labels)), t)));
const ok = (data) => ({ code: 200, body: { status: 'success', data } });

export function answer(path, q, empty) {
  const expr = q.get('query') ?? '';
  if (path.startsWith('query') && path !== 'query_exemplars' && /[^\w"}\])\s]$|\(\s*$/.test(expr)) {
    return { code: 400, body: { status: 'error', errorType: 'bad_data', error: `invalid parameter "query": 1:${expr.length + 1}: parse error: unexpected end of input` } };
  }
  if (path === 'query_range') {
    const [start, end, step] = ['start', 'end', 'step'].map((k) => Number(q.get(k)));
    const times = Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, i) => start + i * step);
    return ok({ resultType: 'matrix', result: empty ? [] : curves(expr).map(([metric, level]) => ({ metric, values: times.map((t) => [t, value(level, metric, t)]) })) });
  }
  if (path === 'query') { const t = Number(q.get('time')); return ok({ resultType: 'vector', result: empty ? [] : curves(expr).map(([metric, level]) => ({ metric, value: [t, value(level, metric, t)] })) }); }
  if (path === 'query_exemplars') {
    const [start, end] = [Number(q.get('start')), Number(q.get('end'))];
    const service = SERVICES.find((s) => expr.includes(`"${s.name}"`)) ?? SERVICES[0];
    return ok(empty || !/bucket/.test(expr) ? [] : [{ seriesLabels: { service: service.name }, exemplars: Array.from({ length: 14 }, (_, i) => ({ labels: { traceID: (0xabc0 + i).toString(16).padStart(32, '0') }, value: String(service.p[0] + ((service.p[2] ?? 0) - service.p[0]) * ((i * 37 % 100) / 90)), timestamp: start + ((end - start) * (i + 0.5)) / 14 })) }]);
  }
  if (path === 'labels') return ok(['__name__', 'instance', 'job', 'service', 'service_name', 'span_kind', 'span_name', 'status_code']);
  if (path === 'label/__name__/values') {
    const match = q.getAll('match[]').join();
    return ok(empty ? [] : Object.keys(METRICS).filter((n) => !match || !/^(node|apm|traces)_/.test(n)).sort());
  }
  if (path.startsWith('label/instance')) return ok(empty ? [] : ['ada:9100']);
  if (path.startsWith('label/')) return ok(SERVICES.map((s) => s.name));
  if (path === 'metadata') return ok(Object.fromEntries(Object.entries(METRICS).map(([n, [type, help]]) => [n.replace(/_(bucket|sum|count)$/, ''), [{ type, help, unit: '' }]])));
  if (path === 'series') return ok([]);
  return { code: 404, body: { status: 'error', errorType: 'not_found', error: 'no such endpoint' } };
}
