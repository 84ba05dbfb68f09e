// Pictures of every page of a running engine in both themes and two sizes, with axe-core and the console watched. `node dev/shots.mjs [base] [folder] [filter]`
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const base = process.argv[2] ?? 'http://127.0.0.1:4300';
const folder = process.argv[3] ?? '/tmp/apm-shots';
const filter = process.argv[4] ?? '';
mkdirSync(folder, { recursive: true });
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const api = async (path) => (await fetch(base + path)).json();
const now = Date.now();
const names = (await api(`/apm/v1/services?start=${now / 1000 - 900}&end=${now / 1000}`)).services;
const service = (names.find((s) => s.verdict === 'critical') ?? names[0])?.name ?? 'cart';
const found = (await api(`/api/traces?service=${service}&limit=200&start=${(now - 900e3) * 1000}&end=${now * 1000}`)).data ?? [];
const one = found.find((t) => t.spans.length < 100 && t.spans.some((s) => s.tags?.some((g) => g.key === 'error'))) ?? found[0];
const pages = {
  services: '/ui/services', service: `/ui/services/${service}`, traces: '/ui/traces', ...(one ? { trace: `/ui/traces/${one.traceID}?span=${one.spans.at(-2)?.spanID}` } : {}),
  logs: '/ui/logs', metrics: '/ui/metrics', 'metrics-query': '/ui/metrics?q=' + encodeURIComponent('sum by (service) (rate(traces_spanmetrics_calls_total[1m]))'),
  'metrics-grid': '/ui/metrics?q=' + encodeURIComponent(`{service_name="${service}"}`), 'metrics-error': '/ui/metrics?q=' + encodeURIComponent('sum(rate(up[5m]) +'), 'metrics-table': '/ui/metrics?view=table&q=up', settings: '/ui/settings', 'not-found': '/ui/nowhere',
};
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
let bad = 0;
for (const theme of ['light', 'dark']) {
  for (const [w, h] of [[1440, 900], [390, 800]]) {
    const context = await browser.newContext({ viewport: { width: w, height: h }, colorScheme: theme });
    for (const [name, path] of Object.entries(pages)) {
      if (!name.includes(filter)) continue;
      const page = await context.newPage();
      const problems = [];
      page.on('console', (m) => { if (['error', 'warning'].includes(m.type()) && !(name === 'metrics-error' && /400/.test(m.text()))) problems.push(m.text()); });
      page.on('pageerror', (e) => problems.push(String(e)));
      await page.goto(base + path);
      await page.waitForLoadState('networkidle').catch(() => {});
      await page.waitForTimeout(350);
      await page.screenshot({ path: `${folder}/${name}-${theme}-${w}.png`, fullPage: w === 1440 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wide > 0) problems.push(`scrolls sideways by ${wide}px`);
      const found = await page.evaluate(`(() => { const module = undefined, exports = undefined, define = undefined; ${axe}; return axe.run(document, { resultTypes: ['violations'] }); })()`).catch((e) => { problems.push(`axe: ${e}`); return { violations: [] }; });
      for (const v of found.violations) problems.push(`axe ${v.impact} ${v.id}: ${v.nodes.slice(0, 3).map((n) => n.target.join(' ')).join(' | ')} (${v.nodes[0]?.any?.[0]?.message ?? v.help})`);
      if (problems.length) { bad++; console.log(`${name} ${theme} ${w}:\n  ` + [...new Set(problems)].join('\n  ')); }
      await page.close();
    }
    await context.close();
  }
}
await browser.close();
console.log(bad ? `${bad} pages with problems` : 'no problem found');
process.exit(bad ? 1 : 0);
