// A shop as `feed.mjs` sends it: plausible traces and lines of log, the same for the same moment.
const SERVICES = [['gateway', '2.14.0'], ['cart', '1.2.0'], ['checkout', '1.9.3'], ['payment', null], ['inventory', '0.8.1'], ['mailer', '0.3.0']].map(([name, version]) => ({ name, version }));

const CHAIN = [
  ['gateway', 'POST /checkout', 'server', 0, 1], ['checkout', 'POST /checkout', 'server', 0.03, 0.95], ['checkout', 'quote', 'internal', 0.05, 0.3],
  ['cart', 'GET /cart/{id}', 'server', 0.07, 0.2], ['cart', 'redis GET', 'client', 0.09, 0.15], ['inventory', 'GET /stock/{sku}', 'server', 0.21, 0.29], ['inventory', 'SELECT stock', 'client', 0.22, 0.28],
  ['checkout', 'charge card', 'internal', 0.32, 0.88], ['payment', 'POST /charge', 'server', 0.35, 0.85], ['payment', 'SELECT payments', 'client', 0.37, 0.45], ['payment', 'POST bank.example', 'client', 0.46, 0.83], ['mailer', 'send receipt', 'producer', 0.89, 0.93],
];
const PARENT = [null, 0, 1, 2, 3, 2, 5, 1, 7, 8, 8, 1];
const EVERY_S = 7;

function trace(n) {
  const id = (0xabc000000 + n).toString(16).padStart(32, '0');
  const start = n * EVERY_S * 1e6 + (n * 7919) % 999999;
  const duration = Math.round(40000 * Math.exp(((n * 2654435761) % 1000) / 260));
  const failed = n % 9 === 0;
  const count = n % 3 === 0 ? CHAIN.length : n % 3 === 1 ? 5 : 7;
  const extra = n % 50 === 0 ? 400 : 0;
  const spans = CHAIN.slice(0, count).map(([service, name, kind, a, b], i) => ({
    traceID: id, spanID: (n * 100 + i + 1).toString(16).padStart(16, '0'), operationName: name, references: PARENT[i] == null ? [] : [{ refType: 'CHILD_OF', traceID: id, spanID: (n * 100 + PARENT[i] + 1).toString(16).padStart(16, '0') }],
    startTime: Math.round(start + a * duration), duration: Math.round((b - a) * duration), processID: `p${SERVICES.findIndex((s) => s.name === service)}`, warnings: null,
    tags: [{ key: 'span.kind', type: 'string', value: kind }, ...(kind === 'server' ? [{ key: 'http.request.method', type: 'string', value: name.split(' ')[0] }, { key: 'http.response.status_code', type: 'int64', value: failed ? 500 : 200 }, { key: 'url.path', type: 'string', value: '/checkout/8f3a' }] : [{ key: 'db.system', type: 'string', value: 'postgresql' }]),
      ...(failed && [0, 1, 7, 8, 10].includes(i) ? [{ key: 'error', type: 'bool', value: true }, { key: 'otel.status_code', type: 'string', value: 'ERROR' }, { key: 'otel.status_description', type: 'string', value: 'the bank answered 503' }] : [])],
    logs: failed && i === 10 ? [{ timestamp: Math.round(start + 0.8 * duration), fields: [{ key: 'event', type: 'string', value: 'exception' }, { key: 'exception.type', type: 'string', value: 'BankUnavailable' }, { key: 'exception.stacktrace', type: 'string', value: 'Traceback (most recent call last):\n  File "bank.py", line 41, in charge\nBankUnavailable: 503' }] }] : [],
  }));
  for (let i = 0; i < extra; i++) spans.push({ traceID: id, spanID: (0xf0000000 + n * 1000 + i).toString(16).padStart(16, '0'), operationName: `SELECT item ${i}`, references: [{ refType: 'CHILD_OF', traceID: id, spanID: spans[1].spanID }], startTime: Math.round(start + duration * (0.1 + (0.7 * i) / extra)), duration: Math.round(duration / 300), processID: 'p4', tags: [{ key: 'span.kind', type: 'string', value: 'client' }], logs: [] });
  return { traceID: id, spans, processes: Object.fromEntries(SERVICES.map((s, i) => [`p${i}`, { serviceName: s.name, tags: [{ key: 'service.version', type: 'string', value: s.version ?? 'dev' }, { key: 'host.name', type: 'string', value: 'ada' }] }])) };
}

/** The traces that begin between two moments, in seconds. */
export function traces(from, to) {
  const out = [];
  for (let n = Math.floor(to / EVERY_S); n * EVERY_S > from; n--) out.push(trace(n));
  return out;
}

const LINES = {
  info: ['GET /products 200 12ms', 'item added to cart sku=8812 qty=1', 'order placed id=20391 total=81.20 EUR', '{"msg":"stock reserved","sku":"A-12","left":41}', 'receipt queued for ada@example.org'],
  warn: ['retrying bank call, attempt 2 of 3', 'slow query: SELECT stock took 412 ms'], error: ['charge failed: the bank answered 503', 'checkout 20388 aborted: BankUnavailable'], debug: ['cache miss key=cart:8f3a'],
};
/** The lines between two moments, in seconds; about a third of them belong to a trace. */
export function lines(from, to) {
  const out = [];
  for (let n = Math.floor((to * 1000) / 700); n * 700 > from * 1000; n--) {
    const r = (n * 2654435761) % 1000;
    const level = r < 40 ? 'error' : r < 110 ? 'warn' : r < 160 ? 'debug' : 'info';
    out.push({
      service: SERVICES[n % SERVICES.length].name, level, text: LINES[level][n % LINES[level].length],
      timeUnixNano: `${n * 700}${String((n * 7919) % 1000000).padStart(6, '0')}`,
      traceId: n % 3 === 0 ? (0xabc000000 + Math.floor((n * 700) / 1000 / EVERY_S)).toString(16).padStart(32, '0') : '',
    });
  }
  return out;
}
