// The cases, in the order in which they build on each other.
import { Browser } from './browser.mjs';
import { base, expect, go } from './asking.mjs';
import { administration } from './administration.mjs';
import { deadLetterStory } from './story.mjs';
import { checkPages } from './pages.mjs';
import { traces } from './traces.mjs';
import { manyQueues } from './many_queues.mjs';

async function signIn(browser) {
  const { page } = browser;
  await page.goto(`${base}/`);
  await page.getByLabel('User').fill('guest');
  await page.getByLabel('Password').fill('wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('The broker knows no user with this name and password.').waitFor();
  browser.checkConsole(['401']);
  await browser.shoot('sign-in');
  await page.getByLabel('Password').fill('guest');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
}

async function stayAfterReload({ page }) {
  await page.reload();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  const cookies = await page.context().cookies();
  expect(cookies.length === 0, `there are cookies: ${cookies.map(({ name }) => name)}`);
}

async function keyboard({ page }) {
  await go(page, '#/', 'Overview');
  await page.keyboard.press('g');
  await page.keyboard.press('q');
  await page.getByRole('heading', { level: 1, name: 'Queues' }).waitFor();
  await page.getByRole('searchbox').waitFor();
  await page.keyboard.press('/');
  expect(await page.evaluate(() => document.activeElement.matches('[data-search]')), '/ did not lead to the filter');
  await page.keyboard.press('Escape');
  const before = await page.evaluate(() => document.documentElement.dataset.theme);
  await page.keyboard.press('t');
  expect(before !== (await page.evaluate(() => document.documentElement.dataset.theme)), 't did not change the theme');
  await page.keyboard.press('t');
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
}

async function signOut({ page }) {
  await page.getByRole('button', { name: /Sign out/ }).click();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  expect(await page.evaluate(() => sessionStorage.length === 0), 'something of the session was kept');
}

/** Runs one case and says how it went; `expected` are complaints that belong to it. */
async function hold(name, run, browser, expected = []) {
  try {
    const said = await run(browser);
    browser.checkConsole(expected);
    console.log(`ok ${name}${typeof said === 'string' ? ` # ${said}` : ''}`);
    return true;
  } catch (error) {
    await browser.shoot(`failed-${name}`).catch(() => {});
    console.error(error);
    console.log(`not ok ${name} # ${String(error.message).replace(/\x1b\[\d+m/g, '').replace(/\s+/g, ' ').slice(0, 300)}`);
    return false;
  }
}

const CASES = [
  ['stays-signed-in', stayAfterReload], ['keyboard', keyboard], ...deadLetterStory, ...administration, ...traces, ...checkPages, ['ten-thousand-queues', manyQueues], ['sign-out', signOut],
];
/** CASES names some of them by a regular expression, while one works on these. */
const wanted = new RegExp(process.env.CASES ?? '');

const browser = await Browser.open();
let well = true;
try {
  well = await hold('sign-in', signIn, browser);
  for (const [name, run, expected] of well ? CASES.filter(([each]) => wanted.test(each)) : []) well = (await hold(name, run, browser, expected)) && well;
} finally {
  await browser.close();
}
process.exitCode = well ? 0 : 1;
