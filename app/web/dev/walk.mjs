// Walks through the page as a person does, against the mock or a running engine with the same services. `node dev/walk.mjs [base]`
// Each step names what it expects; the first that fails ends the walk with the reason.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const base = process.argv[2] ?? 'http://127.0.0.1:4399';
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
const problems = [];
page.on('console', (m) => m.type() === 'error' && !/status of 4/.test(m.text()) && problems.push(m.text()));
page.on('pageerror', (e) => problems.push(String(e)));
const at = () => decodeURIComponent(new URL(page.url()).pathname + new URL(page.url()).search).replaceAll('+', ' ');
const id = (name) => page.getByTestId(name);
const until = async (what, check) => {
  for (let i = 0; i < 100; i++) { if (await check()) return; await page.waitForTimeout(50); }
  assert.fail(`${what}; the address is ${at()}`);
};
async function step(name, run) {
  try { await run(); console.log('ok  ', name); } catch (error) { await page.screenshot({ path: '/tmp/apm-walk.png' }); throw new Error(`${name}: ${error.message}`); }
}

try {
  await step('lands on the services, worst first', async () => {
    await page.goto(`${base}/ui/`);
    await until('redirect', () => at() === '/ui/services');
    await id('services-table').waitFor();
    const rows = await id('services-table').locator('tbody tr [data-field=verdict]').evaluateAll((all) => all.map((x) => x.dataset.value));
    const order = ['critical', 'warning', 'unknown', 'ok'];
    assert.deepEqual(rows, [...rows].sort((a, b) => order.indexOf(a) - order.indexOf(b)));
  });
  await step('/ focuses the filter, typing narrows, sorting is in the URL', async () => {
    await page.keyboard.press('/');
    await page.keyboard.type('ca');
    await until('one row', async () => (await id('services-table').locator('tbody tr').count()) === 1);
    assert.match(at(), /filter=ca/);
    await page.getByRole('button', { name: 'Requests' }).click();
    assert.match(at(), /sort=-rate/);
    await page.getByRole('searchbox').fill('');
  });
  await step('a service opens with three charts, whose last values are in the page', async () => {
    await page.getByRole('link', { name: 'checkout', exact: true }).click();
    for (const chart of ['chart-rate', 'chart-errors', 'chart-latency']) await id(chart).locator('[data-field=last]').first().waitFor();
    assert.match(await id('chart-latency').locator('[data-series=p95] [data-field=last]').getAttribute('data-value'), /^\d+\.\d+/);
    assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), 'checkout');
  });
  await step('a brush on a chart sets the range; [ moves it; back undoes it', async () => {
    const box = await id('chart-rate').locator('.u-over').boundingBox();
    await page.mouse.move(box.x + box.width * 0.3, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 60, { steps: 6 });
    await page.mouse.up();
    await until('absolute range', () => /from=\d{13}&to=\d{13}|from=\d{13}/.test(at()));
    const before = at();
    await page.keyboard.press('[');
    await until('shifted', () => at() !== before);
    await page.goBack();
    assert.equal(at(), before);
    await page.goBack();
    assert.doesNotMatch(at(), /from=/);
  });
  await step('a legend entry isolates its series', async () => {
    const entry = id('chart-latency').getByRole('button', { name: 'p95' });
    await entry.click();
    assert.equal(await entry.getAttribute('aria-pressed'), 'true');
    await entry.click();
  });
  await step('an exemplar leads to its trace', async () => {
    const dot = id('chart-latency').locator('a[data-trace-id]').first();
    const trace = await dot.getAttribute('data-trace-id');
    await dot.click();
    await until('trace page', () => at().startsWith(`/ui/traces/${trace}`));
    await id('waterfall').waitFor();
  });
  await step('the waterfall: keyboard, folding, detail, zoom, find', async () => {
    await id('waterfall').focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await id('span-detail').waitFor();
    assert.match(at(), /span=/);
    const rows = Number(await id('waterfall').getAttribute('data-value'));
    await page.keyboard.press('ArrowLeft');
    await until('folded', async () => Number(await id('waterfall').getAttribute('data-value')) < rows);
    await page.keyboard.press('ArrowRight');
    await until('unfolded', async () => Number(await id('waterfall').getAttribute('data-value')) === rows);
    const map = await id('minimap').boundingBox();
    await page.mouse.move(map.x + map.width * 0.2, map.y + 20);
    await page.mouse.down();
    await page.mouse.move(map.x + map.width * 0.5, map.y + 20, { steps: 5 });
    await page.mouse.up();
    await until('zoomed', () => /zoom=/.test(at()));
    await page.getByRole('button', { name: /show all/ }).click();
    await until('whole again', () => !/zoom=/.test(at()));
  });
  await step('trace → its logs → the line opens → filter in, filter out → back to the trace', async () => {
    const trace = at().split('/')[3].split('?')[0];
    await id('to-logs').click();
    await until('logs of the trace', () => at().includes(`trace_id="${trace}"`));
    await id('log-list').locator('li button').first().click();
    await id('log-detail').waitFor();
    await id('log-detail').getByRole('button', { name: 'Only detected_level' }).click();
    await until('stage added', () => /\| detected_level="/.test(at()));
    await page.goBack();
    await id('log-detail').getByRole('button', { name: 'Only service_name' }).click();
    await until('matcher added', () => /\{service_name=~?"[^}]+"\}/.test(at()) && /service_name="/.test(at()));
    await page.goBack();
    await id('log-detail').getByRole('link', { name: 'Open trace' }).click();
    await id('to-metrics').click();
    await until('metrics of the service', () => /\/ui\/metrics\?.*\{service_name="/.test(at()));
    await id('metric-grid').locator('[data-series] [data-field=last]').first().waitFor();
  });
  await step('live logs grow without a reload, and pause', async () => {
    await page.goto(`${base}/ui/logs?live=1`);
    await id('log-list').locator('li').first().waitFor();
    const newest = () => id('log-list').locator('li').first().getAttribute('data-ns');
    const first = await newest();
    await until('a newer line', async () => (await newest()) !== first);
    await id('pause').click();
    await page.waitForTimeout(1200);
    const paused = await newest();
    await page.waitForTimeout(2500);
    assert.equal(await newest(), paused);
  });
  await step('PromQL: completion by name, label, value; run; error under its column', async () => {
    await page.goto(`${base}/ui/metrics`);
    await id('metric-names').waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('rate(traces_spanmetrics_ca');
    const list = page.getByRole('listbox', { name: 'Completions' });
    await list.getByRole('option', { name: /traces_spanmetrics_calls_total/ }).waitFor();
    assert.match(await list.getByRole('option').first().textContent(), /counter/);
    await page.keyboard.press('Tab');
    await page.keyboard.type('{serv');
    await list.getByRole('option', { name: /^service / }).first().waitFor();
    await page.keyboard.press('Tab');
    await list.getByRole('option', { name: /checkout/ }).waitFor();
    await page.keyboard.type('check');
    await page.keyboard.press('Tab');
    const box = page.getByLabel('PromQL expression');
    assert.equal(await box.inputValue(), 'rate(traces_spanmetrics_calls_total{service="checkout"');
    await box.fill('sum(rate(traces_spanmetrics_calls_total{service="checkout"}[1m]))');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Enter');
    await id('metrics-chart').locator('td[data-field=last]').first().waitFor();
    await box.fill('sum(rate(up[5m]) +');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Enter');
    await id('error').waitFor();
    assert.ok(Number(await id('error').getAttribute('data-column')) > 0);
    await id('promql').locator('[data-column]').waitFor({ state: 'attached' });
  });
  await step('g s, ?, t, and the palette', async () => {
    await page.locator('h1').click();
    await page.keyboard.press('g');
    await page.keyboard.press('s');
    await until('services', () => at().startsWith('/ui/services'));
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
    await page.keyboard.press('Escape');
    await until('closed', async () => (await page.getByRole('dialog').count()) === 0);
    await page.keyboard.press('t');
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Go to' }).fill('payment');
    await page.getByRole('option', { name: /^payment service/ }).waitFor();
    await page.keyboard.press('Enter');
    await until('service', () => at().startsWith('/ui/services/payment'));
  });
  await step('the time picker writes the URL and every link carries it', async () => {
    await page.getByRole('button', { name: 'Last 15 minutes' }).click();
    await page.getByRole('button', { name: 'Last 3 hours' }).click();
    await until('range', () => at().includes('from=now-3h'));
    await page.getByRole('navigation').getByRole('link', { name: 'Traces' }).click();
    assert.match(at(), /^\/ui\/traces\?from=now-3h/);
    await id('trace-list').waitFor();
    await page.getByRole('button', { name: 'Only errors' }).click();
    await until('tag in the URL', () => at().includes('tags=error=true'));
    await id('trace-list').locator('[data-field=errors]').first().waitFor();
    await until('only failed traces', async () => (await id('trace-list').locator('[data-field=errors]').evaluateAll((all) => all.map((x) => Number(x.dataset.value)))).every((v) => v > 0));
  });
  assert.deepEqual(problems, [], 'the console stays silent');
  console.log('all steps passed');
} catch (error) {
  console.error('FAILED', error.message, problems);
  process.exitCode = 1;
} finally {
  await browser.close();
}
