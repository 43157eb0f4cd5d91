// A dead letter from beginning to end, by clicks alone: published, rejected, found, understood, sent back.
import { expect, go } from './asking.mjs';

async function addQueue(page, name, args) {
  await go(page, '#/queues', 'Queues');
  await page.getByText('Add a queue').click();
  const form = page.locator('form').filter({ has: page.getByRole('button', { name: 'Add queue' }) });
  await form.getByLabel('Name', { exact: true }).first().fill(name);
  for (const [at, [key, value]] of Object.entries(args).entries()) {
    if (at > 0) await form.getByRole('button', { name: 'Add a row' }).click();
    const pair = form.locator('.pair').nth(at);
    await pair.getByLabel('Name').fill(key);
    await pair.getByLabel('Value').fill(value);
  }
  await form.getByRole('button', { name: 'Add queue' }).click();
  await page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
}

async function declare({ page }) {
  await go(page, '#/exchanges', 'Exchanges');
  await page.getByText('Add an exchange').click();
  const form = page.locator('form').filter({ has: page.getByRole('button', { name: 'Add exchange' }) });
  await form.getByLabel('Name', { exact: true }).first().fill('graveyard');
  await form.locator('[name=type]').selectOption('fanout');
  await form.getByRole('button', { name: 'Add exchange' }).click();
  await page.getByRole('heading', { level: 1, name: 'graveyard' }).waitFor();
  await addQueue(page, 'work', { 'x-dead-letter-exchange': 'graveyard' });
  await addQueue(page, 'dead', {});
  await page.getByText('Add a binding').click();
  await page.getByLabel('From exchange').fill('graveyard');
  await page.getByRole('button', { name: 'Bind' }).click();
  await page.getByRole('link', { name: 'graveyard' }).waitFor();
}

async function publish({ page }) {
  await go(page, '#/queues/%2F/work', 'work');
  await page.getByText('Publish a message here').click();
  for (const order of [17, 18, 19]) {
    await page.getByLabel('Body', { exact: true }).fill(JSON.stringify({ order: { id: order, total: 9.5 } }));
    await page.getByLabel('Content type').fill('application/json');
    await page.getByLabel('Correlation id').fill(`order-${order}`);
    await page.getByRole('button', { name: 'Publish message' }).click();
    await page.locator('.facts dd', { hasText: new RegExp(`^${order - 16}, `) }).first().waitFor();
  }
}

async function reject({ page }) {
  await page.getByText('Get messages', { exact: true }).click();
  await page.getByLabel('How many').fill('2');
  await page.getByLabel('And then').selectOption('reject_requeue_false');
  await page.getByRole('button', { name: 'Get', exact: true }).click();
  await page.locator('.payload', { hasText: '"id": 18' }).waitFor();
}

async function find(browser) {
  const { page } = browser;
  await go(page, '#/dead-letters', 'Dead letters');
  await page.getByRole('link', { name: 'dead', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'dead', exact: true }).waitFor();
  await page.getByRole('link', { name: 'order-17' }).waitFor();
  await page.getByRole('region', { name: 'What the messages have in common' }).getByRole('button', { name: /rejected/ }).waitFor();
  await browser.shoot('story-found');
}

async function inspect(browser) {
  const { page } = browser;
  await page.getByLabel('Filter by', { exact: true }).selectOption('correlation_id');
  await page.getByLabel('Value to filter by').fill('order-18');
  await page.getByRole('button', { name: 'Filter', exact: true }).click();
  await page.getByRole('link', { name: 'order-17' }).waitFor({ state: 'detached' });
  await page.getByRole('link', { name: 'order-18' }).click();
  const inspector = page.locator('.inspector');
  await inspector.locator('.deaths', { hasText: 'rejected' }).getByRole('link', { name: 'work' }).waitFor();
  await inspector.locator('.payload', { hasText: '"id": 18' }).waitFor();
  await browser.shoot('story-inspected');
}

async function replay(browser) {
  const { page } = browser;
  await page.locator('.inspector').getByRole('button', { name: 'Replay …' }).click();
  await page.getByRole('button', { name: 'Try without sending' }).click();
  await page.getByText('1 message would be sent').waitFor();
  await browser.shoot('story-dry-run');
  await page.getByRole('dialog').getByRole('button', { name: 'Replay', exact: true }).click();
  await page.locator('[data-job-state="done"]').waitFor();
  await page.getByText('No message matches').waitFor();
  await browser.shoot('story-replayed');
  await go(page, '#/dead-letters/%2F/work', 'work');
  await page.getByRole('link', { name: 'order-18' }).click();
  await page.getByText('This message was sent back before').waitFor();
  await go(page, '#/dead-letters/%2F/dead', 'dead');
  await page.getByRole('link', { name: 'order-17' }).waitFor();
  expect((await page.getByRole('link', { name: 'order-18' }).count()) === 0, 'order-18 is still among the dead letters');
}

export const deadLetterStory = [
  ['story-declare', declare], ['story-publish', publish], ['story-reject', reject], ['story-find', find], ['story-inspect', inspect], ['story-replay', replay],
];
