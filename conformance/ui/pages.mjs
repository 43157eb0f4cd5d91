// Every page, in both themes and on a narrow screen: it comes, nothing complains, everything has a name.
import { expect, go } from './asking.mjs';

const PAGES = [
  ['overview', '#/', 'Overview'], ['queues', '#/queues', 'Queues'], ['queue', '#/queues/%2F/work', 'work'], ['exchanges', '#/exchanges', 'Exchanges'],
  ['exchange', '#/exchanges/%2F/graveyard', 'graveyard'], ['default-exchange', '#/exchanges/%2F/amq.default', '(default exchange)'], ['bindings', '#/bindings', 'Bindings'],
  ['bindings-list', '#/bindings?view=list', 'Bindings'], ['dead-letters', '#/dead-letters', 'Dead letters'], ['workbench', '#/dead-letters/%2F/dead', 'dead'],
  ['connections', '#/connections', 'Connections'], ['channels', '#/channels', 'Channels'], ['consumers', '#/consumers', 'Consumers'], ['policies', '#/policies', 'Policies'],
  ['parameters', '#/parameters', 'Shovels and parameters'], ['users', '#/users', 'Users'], ['user', '#/users/guest', 'guest'], ['vhosts', '#/vhosts', 'Virtual hosts'],
  ['vhost', '#/vhosts/%2F', '/'], ['definitions', '#/definitions', 'Definitions'], ['audit', '#/audit', 'Audit log'], ['traces', '#/traces', 'Traces'], ['no-page', '#/nowhere', 'No such page'],
];

/** What people who don't see or don't use a mouse would miss. */
function unnamed() {
  const hidden = (element) => !element.checkVisibility();
  const named = (element) => element.labels?.length || element.getAttribute('aria-label') || element.textContent.trim() || element.title;
  const controls = [...document.querySelectorAll('input, select, textarea, button, a[href], [role=button]')];
  return controls.filter((element) => !hidden(element) && !named(element)).map((element) => element.outerHTML.slice(0, 120));
}

async function look(browser, name, hash, heading, theme) {
  const { page } = browser;
  await page.evaluate((wanted) => {
    document.documentElement.dataset.theme = wanted;
    localStorage.setItem('harrier.theme', wanted);
  }, theme);
  await go(page, hash, heading);
  await page.locator('main [aria-busy]').first().waitFor({ state: 'detached' });
  const problems = await page.locator('main .problem').allInnerTexts();
  expect(problems.length === 0, `it says: ${problems.join(' | ')}`);
  const lacking = await page.evaluate(unnamed);
  expect(lacking.length === 0, `without a name: ${lacking.join(' | ')}`);
  await browser.shoot(`${name}-${theme}`);
  await page.setViewportSize({ width: 390, height: 844 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (theme === 'dark') await browser.shoot(`${name}-narrow`);
  await page.setViewportSize({ width: 1440, height: 900 });
  expect(wide <= 0, `on a narrow screen the page scrolls sideways by ${wide} px`);
}

export const checkPages = ['light', 'dark'].flatMap((theme) =>
  PAGES.map(([name, hash, heading]) => [`page-${name}-${theme}`, (browser) => look(browser, name, hash, heading, theme)]));
