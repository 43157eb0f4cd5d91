// What administrators do, by clicks: virtual host, user, permissions, limits, policy, and all of it gone again.
import { api, expect, go } from './asking.mjs';

const formWith = (page, button) => page.locator('form').filter({ has: page.getByRole('button', { name: button, exact: true }) });
const said = (page, text) => page.getByRole('status').getByText(text).first().waitFor();

async function addVhost({ page }) {
  await go(page, '#/vhosts', 'Virtual hosts');
  await page.getByText('Add a virtual host').click();
  const form = formWith(page, 'Add virtual host');
  await form.getByLabel('Name').fill('ui-office');
  await form.getByLabel('Description').fill('made by clicks');
  await form.getByRole('button', { name: 'Add virtual host' }).click();
  await page.getByRole('link', { name: 'ui-office', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'ui-office' }).waitFor();
  await page.getByLabel('Queues at most').fill('20');
  await page.getByRole('button', { name: 'Set limits' }).click();
  await said(page, 'Limits set');
  const [limits] = await api('GET', '/vhost-limits/ui-office');
  expect(limits.value['max-queues'] === 20, `limits are ${JSON.stringify(limits)}`);
}

async function addUser({ page }) {
  await go(page, '#/users', 'Users');
  await page.getByText('Add a user').click();
  const form = formWith(page, 'Add user');
  await form.getByLabel('Name').fill('ui-clerk');
  await form.getByLabel('Password').fill('correct horse');
  await form.getByLabel('monitoring').check();
  await form.getByRole('button', { name: 'Add user' }).click();
  await page.getByRole('link', { name: 'ui-clerk', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: 'ui-clerk' }).waitFor();
  await page.getByText('Set permissions').click();
  const permissions = page.locator('details[open] form');
  await permissions.getByLabel('Virtual host').selectOption('ui-office');
  await permissions.getByLabel('configure').fill('^own\\.');
  await permissions.getByRole('button', { name: 'Set', exact: true }).click();
  await page.getByRole('cell', { name: '^own\\.' }).waitFor();
}

/** Changing tags must not take the password away, which the API asks for each time. */
async function changeTags({ page }) {
  const before = await api('GET', '/users/ui-clerk');
  await page.getByText('Change password or tags').click();
  const form = formWith(page, 'Save');
  await form.getByLabel('policymaker').check();
  await form.getByRole('button', { name: 'Save' }).click();
  await said(page, 'ui-clerk was changed');
  const after = await api('GET', '/users/ui-clerk');
  expect(after.tags.includes('policymaker') && after.tags.includes('monitoring'), `tags are ${after.tags}`);
  expect(after.password_hash === before.password_hash, 'the password was changed as well');
}

async function addPolicy({ page }) {
  await go(page, '#/policies', 'Policies');
  await page.getByRole('button', { name: 'Add', exact: true }).first().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name', { exact: true }).first().fill('ui-short');
  await dialog.getByLabel('Virtual host').selectOption('ui-office');
  await dialog.getByLabel('Pattern').fill('[');
  await dialog.locator('.pair').getByLabel('Name').fill('max-length');
  await dialog.locator('.pair').getByLabel('Value').fill('10');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.getByRole('alert').waitFor();
  await dialog.getByLabel('Pattern').fill('^own\\.');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  const policy = await api('GET', '/policies/ui-office/ui-short');
  expect(policy.definition['max-length'] === 10, `the policy is ${JSON.stringify(policy)}`);
}

async function exportDefinitions({ page }) {
  await go(page, '#/definitions', 'Definitions');
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download definitions' }).click()]);
  const chunks = await (await download.createReadStream()).toArray();
  const definitions = JSON.parse(Buffer.concat(chunks).toString());
  expect(definitions.policies.some(({ name }) => name === 'ui-short'), 'the policy is not in the export');
}

async function removeAll({ page }) {
  await go(page, '#/users/ui-clerk', 'ui-clerk');
  await page.getByRole('button', { name: 'Delete user' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete user' }).click();
  await page.getByRole('heading', { level: 1, name: 'Users' }).waitFor();
  await go(page, '#/vhosts/ui-office', 'ui-office');
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox').fill('ui-offic');
  await dialog.getByRole('button', { name: 'Delete virtual host' }).click();
  await dialog.getByRole('alert').waitFor();
  await dialog.getByRole('textbox').fill('ui-office');
  await dialog.getByRole('button', { name: 'Delete virtual host' }).click();
  await page.getByRole('heading', { level: 1, name: 'Virtual hosts' }).waitFor();
  expect((await api('GET', '/vhosts')).every(({ name }) => name !== 'ui-office'), 'the virtual host is still there');
}

export const administration = [
  ['office-vhost', addVhost], ['office-user', addUser], ['office-tags', changeTags], ['office-policy', addPolicy, ['400']], ['office-definitions', exportDefinitions], ['office-gone', removeAll],
];
