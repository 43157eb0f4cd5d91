// A list of 10,000 queues is as quick as a short one. The times are reported, not judged.
import { api, expect, go } from './asking.mjs';

const QUEUES = 10_000;

/** Milliseconds that the broker took for the latest list, as the browser saw it. */
const asked = (page) => page.evaluate(() => Math.round(performance.getEntriesByType('resource').filter(({ name }) => name.includes('/api/queues')).at(-1).duration));

/** Milliseconds until the table has changed as wanted and is drawn. */
async function timed(page, act, shown) {
  const start = performance.now();
  await act();
  await shown();
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  return Math.round(performance.now() - start);
}

export async function manyQueues(browser) {
  const { page } = browser;
  page.setDefaultTimeout(60_000);
  const queues = Array.from({ length: QUEUES }, (_, n) => ({ name: `many.${String(n).padStart(5, '0')}`, vhost: '/', durable: true, auto_delete: false, arguments: {} }));
  await api('POST', '/definitions', { queues });
  await go(page, '#/', 'Overview');
  // The browser stops noting after 250 requests.
  await page.evaluate(() => performance.clearResourceTimings());
  const row = (name) => page.getByRole('link', { name, exact: true }).waitFor();
  const list = await timed(page, () => go(page, '#/queues', 'Queues'), () => row('many.00050'));
  const listed = await asked(page);
  const next = await timed(page, () => page.getByRole('button', { name: 'Next' }).click(), () => row('many.00150'));
  const filter = await timed(page, () => page.getByRole('searchbox').fill('09999'), () => row('many.09999'));
  const rows = await page.locator('main tbody tr').count();
  expect(rows === 1, `the filter left ${rows} rows`);
  await page.getByRole('searchbox').fill('');
  await row('many.00001');
  const sort = await timed(page, () => page.getByRole('button', { name: 'Name' }).click(), () => row('many.09950'));
  await browser.shoot('ten-thousand-queues');
  return `list ${list} ms, of which the broker ${listed}, next page ${next} ms, filter ${filter} ms (typing pause of 220 included), sort ${sort} ms`;
}
