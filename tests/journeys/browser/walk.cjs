// Opens pages in a real Chromium and tells what a person, and a screen reader, would find there. It judges nothing: the journey does.
//
// usage: node walk.cjs '{"url", "chromium", "folder", "paths": ["/ui/…"], "width"?, "height"?, "dark"?, "stay"?: do not follow the navigation}'
// Prints JSON: for each path, and for each link of the page's navigation, {path, title, text, errors, serious, sideways_px, hooks, fields, rows, anchors,
// links, transferred_bytes}. A path may be {path, waitFor: CSS selector}. `hooks` are the elements with data-testid and their data-* attributes; `fields`
// the numbers with the row they stand in, the head of their column and what is written there; `rows` the rows of tables, lists and trees from top to
// bottom with their links; `anchors` the links that carry a trace id. The data-* attributes are those that app/web/README.md lists.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { chromium } = require('playwright-core');

const wanted = JSON.parse(process.argv[2]);
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

async function visit(context, step) {
  const { path: where, waitFor } = typeof step === 'string' ? { path: step } : step;
  const page = await context.newPage();
  const errors = [];
  let transferred = 0;
  page.on('console', (message) => message.type() === 'error' && errors.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => errors.push(`exception: ${error.message}`));
  page.on('requestfailed', (request) => {
    // What the page itself gave up when it moved on is no failure.
    if (request.failure()?.errorText !== 'net::ERR_ABORTED') errors.push(`failed: ${request.url()} ${request.failure()?.errorText}`);
  });
  page.on('response', async (response) => {
    if (response.status() >= 400) errors.push(`status ${response.status()}: ${response.url()}`);
    // The page's own files; what the APIs answer depends on the data.
    if (!new URL(response.url()).pathname.startsWith('/ui/')) return;
    const sizes = await response.request().sizes().catch(() => undefined);
    transferred += sizes ? sizes.responseBodySize : 0;
  });
  await page.goto(wanted.url + where, { waitUntil: 'load' });
  if (waitFor) await page.waitForSelector(waitFor, { timeout: 20_000 }).catch((error) => errors.push(`missing: ${waitFor}: ${error.message.split('\n')[0]}`));
  // A page that keeps a stream open is never idle; five seconds are enough for it to have drawn.
  await page.waitForLoadState('networkidle', { timeout: 5_000 }).catch(() => {});
  await page.screenshot({ path: path.join(wanted.folder, `${slug(where)}.png`), fullPage: true });
  const found = await page.evaluate(() => ({
    title: document.title,
    text: document.body.innerText,
    path: location.pathname + location.search,
    links: [...document.querySelectorAll('nav a[href]')].map((link) => link.getAttribute('href')),
    fields: [...document.querySelectorAll('[data-field][data-value]')].map((element) => {
      const row = element.closest('[data-service],[data-series],[data-trace-id],[data-operation],[data-signal]');
      const cell = element.closest('td');
      const head = cell?.closest('table')?.tHead?.rows[0]?.cells[cell.cellIndex]?.textContent.replace(/[↑↓]/, '').trim() ?? '';
      const table = element.closest('[data-testid]')?.dataset.testid ?? '';
      return { row: row ? { ...row.dataset } : {}, field: element.dataset.field, value: element.dataset.value, text: element.innerText.split('\n')[0].trim(), head, table };
    }),
    rows: [...document.querySelectorAll('tr, li, [role=treeitem]')].filter((row) => Object.keys(row.dataset).length > 0).map((row) => ({
      ...row.dataset,
      table: row.closest('[data-testid]')?.dataset.testid ?? '',
      level: row.getAttribute('aria-level'),
      text: row.textContent.trim(),
      links: [...row.querySelectorAll('a[href]')].map((link) => link.getAttribute('href')),
    })),
    anchors: [...document.querySelectorAll('a[data-trace-id]')].map((link) => ({ id: link.dataset.traceId, href: link.getAttribute('href') })),
    sideways_px: document.documentElement.scrollWidth - innerWidth,
    hooks: [...document.querySelectorAll('[data-testid]')].map((element) => ({ ...element.dataset, href: element.getAttribute('href'), text: (element.textContent || '').trim().slice(0, 300) })),
  }));
  // Evaluated by the debugger, so the page's own content security policy stays in force.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  const serious = violations
    .filter((violation) => ['serious', 'critical'].includes(violation.impact))
    .map((violation) => `${violation.id}: ${violation.help}: ${violation.nodes.slice(0, 3).map((node) => node.target.join(' ')).join('; ')}`);
  await page.close();
  return { asked: where, ...found, errors, serious, transferred_bytes: transferred };
}

function slug(where) {
  return where.replace(/[^a-zA-Z0-9]+/g, '-').replace(/^-|-$/g, '').slice(0, 80) || 'start';
}

async function main() {
  const browser = await chromium.launch({ executablePath: wanted.chromium, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  const viewport = { width: wanted.width || 1280, height: wanted.height || 800 };
  const context = await browser.newContext({ viewport, colorScheme: wanted.dark ? 'dark' : 'light' });
  context.setDefaultTimeout(30_000);
  const pages = [];
  const seen = new Set();
  const queue = [...wanted.paths];
  while (queue.length > 0) {
    const step = queue.shift();
    const where = typeof step === 'string' ? step : step.path;
    if (seen.has(where)) continue;
    seen.add(where);
    const page = await visit(context, step);
    pages.push(page);
    if (!wanted.stay) queue.push(...page.links.filter((link) => link.startsWith('/ui/') && !seen.has(link)));
  }
  await browser.close();
  process.stdout.write(JSON.stringify(pages));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
