// Signs in and out in a real Chromium, as a person does, and tells what was seen on the way. It judges nothing: the journey does.
//
// usage: node sign_in.cjs '{"url", "chromium", "folder", "path": "/ui/…", "waitFor": CSS selector, "token", "wrong"}'
// Prints JSON: one object for each step, {step, url, form, text, …}, and at the end the answer to a request with the session that was signed out.
'use strict';
const path = require('node:path');
const { chromium } = require('playwright-core');

const wanted = JSON.parse(process.argv[2]);

async function main() {
  const browser = await chromium.launch({ executablePath: wanted.chromium, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const steps = [];
  const errors = [];
  let challenges = 0;
  page.on('pageerror', (error) => errors.push(`exception: ${error.message}`));
  page.on('response', (response) => {
    const status = response.status();
    if (response.headers()['www-authenticate']) challenges++;
    if (status >= 400 && status !== 401) errors.push(`status ${status}: ${response.url()}`);
  });
  const form = page.getByTestId('sign-in');
  const note = async (step, more = {}) => {
    await page.screenshot({ path: path.join(wanted.folder, `${step}.png`) });
    const found = await page.evaluate(() => ({
      url: location.pathname + location.search,
      text: document.body.innerText,
      focus: document.activeElement?.getAttribute('name') || document.activeElement?.id || '',
      kept: JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }]),
    }));
    steps.push({ step, form: await form.count(), ...found, ...more });
  };
  const submit = async (token) => {
    await page.getByLabel('Token').fill(token);
    await page.keyboard.press('Enter');
  };

  await page.goto(wanted.url + wanted.path);
  await form.waitFor();
  await note('asked');
  await submit(wanted.wrong);
  await page.getByTestId('error').waitFor();
  await note('refused');
  await submit(wanted.token);
  await page.waitForSelector(wanted.waitFor);
  const cookies = await context.cookies();
  await note('signed-in', { cookies });
  await page.reload();
  await page.waitForSelector(wanted.waitFor);
  await note('reloaded');
  await page.getByRole('link', { name: 'Settings' }).click();
  await page.getByTestId('access').waitFor();
  await note('settings', { role: await page.getByTestId('access').getAttribute('data-value') });
  await page.getByTestId('sign-out').click();
  await form.waitFor();
  await note('signed-out', { cookies: await context.cookies() });
  const replay = await context.request.get(`${wanted.url}/apm/v1/status`, { headers: { cookie: cookies.map((c) => `${c.name}=${c.value}`).join('; ') } });
  await browser.close();
  process.stdout.write(JSON.stringify({ steps, errors, challenges, replayed: replay.status() }));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
