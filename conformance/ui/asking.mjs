// What cases ask of the page and of the API.

/** Where the broker serves. */
export const base = process.env.HTTP_URL;

export function expect(holds, what) {
  if (!holds) throw new Error(what);
}

/** Asks the API as guest, for what a case needs to be there before it. */
export async function api(method, target, body) {
  const response = await fetch(`${base}/api${target}`, {
    method, headers: { Authorization: `Basic ${btoa('guest:guest')}`, 'Content-Type': 'application/json' }, body: body && JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${method} ${target}: ${response.status} ${await response.text()}`);
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

/** Opens an address of the interface and waits for the page with that heading. */
export async function go(page, hash, heading) {
  await page.evaluate((to) => {
    location.hash = to;
  }, hash);
  if (heading) await page.getByRole('heading', { level: 1, name: heading, exact: true }).waitFor();
}
