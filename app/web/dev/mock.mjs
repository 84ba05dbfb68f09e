// A stand-in for the engine while working on the page: serves `dist` under the product's CSP and plausible answers of every API.
// Not shipped. `node dev/mock.mjs [port] [--empty]`; --empty answers as an engine that nothing has been sent to.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import * as prom from './mock-metrics.mjs';
import * as events from './mock-events.mjs';

const port = Number(process.argv[2]) || 4399;
const empty = process.argv.includes('--empty');
const dist = join(import.meta.dirname, '..', 'dist');
const CSP = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:";
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const started = Date.now() / 1000 - 7261;

function status() {
  const now = Date.now() / 1000;
  const seen = (received, rejected) => (empty ? { received: 0, rejected: 0, first_seen: null, last_seen: null } : { received, rejected, first_seen: started + 4, last_seen: now - 1 });
  return {
    version: '0.1.0', started_at: started, now, pid: 4242, project: 'shop', data_dir: '/home/ada/.local/share/apm/shop', url: `http://127.0.0.1:${port}`,
    listeners: [{ name: 'http', address: `127.0.0.1:${port}` }, { name: 'otlp-grpc', address: '127.0.0.1:4317' }, { name: 'otlp-http', address: '127.0.0.1:4318' }],
    memory: { limit_bytes: 1024 ** 3, used_bytes: 312 * 2 ** 20, rss_bytes: 388 * 2 ** 20 }, disk: { used_bytes: 2.3 * 2 ** 30, limit_bytes: 20 * 2 ** 30, free_bytes: 81 * 2 ** 30 },
    retention_seconds: 15 * 86400, signals: { metrics: seen(18240311, 0), logs: seen(402113, 12), traces: seen(913377, 0) }, shed: empty ? 0 : 3,
    findings: empty ? [] : [
      { severity: 'warning', title: 'Logs of “payment” carry no trace_id', detail: '402 lines in the last hour could not be joined to a trace.', fix: 'Start it with `apm run`, or set OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED=true.' },
      { severity: 'info', title: '12 log lines were refused', detail: 'Their time stamps were more than 7 days old.', fix: 'Check the clock of the sender 10.0.0.7.' },
    ], demo: !empty,
  };
}
const json = (body, code = 200) => ({ code, type: 'application/json', body: JSON.stringify(body) });

async function answer(url, form) {
  const q = new URLSearchParams([...url.searchParams, ...form]);
  const p = url.pathname;
  let m;
  if (p === '/apm/v1/status') return json(status());
  if (p === '/apm/v1/services') return json({ services: empty ? [] : prom.services(Number(q.get('start')), Number(q.get('end'))) });
  if ((m = /^\/apm\/v1\/services\/([^/]+)\/operations$/.exec(p))) return json({ operations: empty ? [] : prom.operations(decodeURIComponent(m[1])) });
  if (p.startsWith('/api/v1/')) { const a = prom.answer(p.slice(8), q, empty); return json(a.body, a.code); }
  if (p.startsWith('/loki/api/v1/')) { const a = events.loki(p.slice(13), q, empty); return a.text ? { code: a.code, type: 'text/plain', body: a.text } : json(a.body); }
  if (p === '/api/services' || p.startsWith('/api/services/') || p.startsWith('/api/traces')) return json(events.jaeger(p, q, empty));
  if (p === '/') return { code: 302, type: 'text/plain', body: '', location: '/ui/' };
  if (p.startsWith('/ui')) {
    const name = p.replace(/^\/ui\/?/, '');
    const file = /^[\w.-]+\.\w+$/.test(name) ? name : 'index.html';
    try { return { code: 200, type: TYPES[extname(file)] ?? 'text/plain', body: await readFile(join(dist, file)) }; } catch { return { code: 200, type: TYPES['.html'], body: await readFile(join(dist, 'index.html')) }; }
  }
  return json({ error: 'not found' }, 404);
}

createServer(async (request, response) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  const url = new URL(request.url, `http://127.0.0.1:${port}`);
  let a;
  try { a = await answer(url, new URLSearchParams(text)); } catch (error) { a = json({ error: String(error?.stack ?? error) }, 500); }
  response.writeHead(a.code, { 'content-type': a.type, 'content-security-policy': CSP, 'cache-control': 'no-cache', ...(a.location ? { location: a.location } : {}) });
  response.end(a.body);
}).listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${port}/ui/`));
