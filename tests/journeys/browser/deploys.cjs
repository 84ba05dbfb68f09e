// Follows one release in a real Chromium as a person does: finds it in the list, looks at its steps, approves it, and waits for its end, without a
// reload. It judges nothing: the journey does.
//
// usage: node deploys.cjs '{"url", "chromium", "folder", "run", "service", "until": status}'
// Prints JSON: {errors, sideways, serious, steps: [{step, …}]}.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { chromium } = require('playwright-core');

const wanted = JSON.parse(process.argv[2]);
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

async function main() {
  const browser = await chromium.launch({ executablePath: wanted.chromium, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const [steps, errors, serious] = [[], [], []];
  page.on('console', (message) => message.type() === 'error' && errors.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => errors.push(`exception: ${error.message}`));
  page.on('response', (response) => response.status() >= 400 && errors.push(`status ${response.status()}: ${response.url()}`));
  const note = async (step, more = {}) => {
    await page.screenshot({ path: path.join(wanted.folder, `${step}.png`), fullPage: true });
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
    for (const v of violations) if (['serious', 'critical'].includes(v.impact)) serious.push(`${step}: ${v.id}: ${v.nodes.slice(0, 3).map((n) => n.target.join(' ')).join('; ')}`);
    steps.push({ step, url: new URL(page.url()).pathname, text: await page.evaluate(() => document.body.innerText), ...more });
  };
  const status = () => page.getByTestId('deploy-status').getAttribute('data-value');
  const states = () => page.evaluate(() => [...document.querySelectorAll('[data-step]')].map((step) => [step.dataset.step, step.dataset.state]));

  await page.goto(`${wanted.url}/ui/deploys`, { waitUntil: 'load' });
  const row = page.locator(`[data-testid=deploys-table] tr[data-run="${wanted.run}"]`);
  await row.waitFor();
  await note('list', { status: await row.getAttribute('data-status') });

  await row.getByRole('link').first().click();
  await page.locator('[data-testid=deploy-status][data-value=waiting]').waitFor();
  await page.locator('[data-step] summary').first().click();
  await note('waiting', { status: await status(), states: await states() });

  // The one who is asked says yes; again where the judge could not decide, as on a machine that does too much else.
  const approve = async (reason, shot) => {
    const step = await page.getByTestId('deploy-question').getAttribute('data-step');
    await page.locator('[data-order=approve]').click();
    await page.locator('dialog input[name=reason]').fill(reason);
    if (shot) await note(shot);
    await page.getByTestId('give-order').click();
    // Nobody reloads: what happens is told.
    await page.locator(`[data-step="${step}"]:not([data-state=asks])`).waitFor();
  };
  await approve('looked at the plan', 'dialog');
  await page.locator('[data-testid=deploy-judge] tr[data-metric]').first().waitFor({ timeout: 90_000 });
  await note('watched', { status: await status(), states: await states() });
  const end = page.locator(`[data-testid=deploy-status]:is([data-value=${wanted.until}], [data-value=waiting])`);
  await end.waitFor({ timeout: 180_000 });
  if ((await status()) === 'waiting') {
    await note('asked-again');
    await approve('it is good enough');
    await page.locator(`[data-testid=deploy-status][data-value=${wanted.until}]`).waitFor({ timeout: 60_000 });
  }
  await page.locator('[data-testid=deploy-errors] [data-testid=release-mark]').first().waitFor();
  await note('ended', { status: await status(), states: await states(), lines: await page.getByTestId('deploy-logs').getAttribute('data-value') });

  if (wanted.until === 'complete') {
    await page.locator('[data-order=rollback]').click();
    await page.getByTestId('rollback-plan').waitFor();
    await note('rollback', { plan: await page.getByTestId('rollback-plan').innerText() });
    await page.keyboard.press('Escape');
  }
  await page.goto(`${wanted.url}/ui/services/${wanted.service}`, { waitUntil: 'load' });
  const mark = page.locator(`[data-testid=chart-errors] [data-testid=release-mark][data-run="${wanted.run}"]`);
  await mark.waitFor();
  await mark.hover();
  await note('service', { mark: await mark.innerText(), href: await mark.getAttribute('href') });
  const query = encodeURIComponent(`sum(rate(traces_spanmetrics_calls_total{service="${wanted.service}"}[1m]))`);
  await page.goto(`${wanted.url}/ui/metrics?q=${query}`, { waitUntil: 'load' });
  await page.locator(`[data-testid=metrics-chart] [data-testid=release-mark][data-run="${wanted.run}"]`).waitFor();
  await note('metrics');
  await browser.close();
  process.stdout.write(JSON.stringify({ errors, serious, steps }));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
