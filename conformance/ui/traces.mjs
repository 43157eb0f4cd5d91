// Where a message went, by clicks: a rule started, a message published and rejected, its story read, the rule stopped.
import { api, expect, go } from './asking.mjs';

const QUEUE = 'traced';

async function start({ page }) {
  await api('PUT', `/queues/%2F/${QUEUE}`, { durable: true });
  await go(page, '#/traces', 'Traces');
  await page.getByText('Nothing is traced').waitFor();
  await page.getByText('Trace messages', { exact: true }).click();
  const form = page.locator('form').filter({ has: page.getByRole('button', { name: 'Start', exact: true }) });
  await form.getByLabel('Name of the rule').fill('ui-watch');
  await form.getByLabel('Virtual host').selectOption('/');
  await form.getByLabel('Goes to queue').fill(QUEUE);
  await form.getByRole('button', { name: 'Start', exact: true }).click();
  const rule = page.getByRole('table', { name: 'Rules' }).getByRole('row', { name: /ui-watch/ });
  await rule.getByText(`queue: ${QUEUE}`).waitFor();
  await page.getByText('Nothing was published yet that a rule chooses').waitFor();
}

async function publish({ page }) {
  await go(page, `#/queues/%2F/${QUEUE}`, QUEUE);
  await page.getByText('Publish a message here').click();
  await page.getByLabel('Body', { exact: true }).fill('where to?');
  await page.getByLabel('Correlation id').fill('traced-1');
  await page.getByRole('button', { name: 'Publish message' }).click();
  await page.getByText('Get messages', { exact: true }).click();
  await page.getByLabel('And then').selectOption('reject_requeue_false');
  await page.getByRole('button', { name: 'Get', exact: true }).click();
  await page.locator('.payload', { hasText: 'where to?' }).waitFor();
}

async function read(browser) {
  const { page } = browser;
  await go(page, '#/traces', 'Traces');
  const search = page.locator('form').filter({ has: page.getByRole('button', { name: 'Find', exact: true }) });
  await search.getByLabel('Correlation id').fill('traced-2');
  await search.getByRole('button', { name: 'Find', exact: true }).click();
  await page.getByText('No message like that was traced').waitFor();
  await search.getByLabel('Correlation id').fill('traced-1');
  await search.getByRole('button', { name: 'Find', exact: true }).click();
  const found = page.getByRole('table', { name: 'Traced messages' }).getByRole('row', { name: /traced-1/ });
  await found.getByText('no queue any more').waitFor();
  await browser.shoot('traces-found');
  await found.getByRole('link').first().click();
  const story = page.getByRole('table', { name: 'What happened' });
  for (const what of ['published', 'delivered', 'rejected', 'dropped']) await story.getByText(what, { exact: true }).waitFor();
  await story.getByRole('link', { name: QUEUE }).first().waitFor();
  await browser.shoot('traces-story');
}

async function stop({ page }) {
  await go(page, '#/traces', 'Traces');
  const rule = page.getByRole('table', { name: 'Rules' }).getByRole('row', { name: /ui-watch/ });
  await rule.getByRole('button', { name: 'Stop' }).click();
  await page.getByText('Nothing is traced').waitFor();
  expect((await api('GET', '/harrier/trace-rules')).length === 0, 'the rule is still there');
  // What was taken down stays.
  await page.getByRole('table', { name: 'Traced messages' }).getByText('traced-1').waitFor();
  await api('DELETE', `/queues/%2F/${QUEUE}`);
}

export const traces = [['traces-start', start], ['traces-publish', publish], ['traces-read', read], ['traces-stop', stop]];
