// Who is signed in. Credentials stay in this tab's session storage and travel as a header set by
// script. The browser never sends them by itself, so that no other site can act in their name.
import { Cell } from './cell.js';

const KEY = 'harrier.session';

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

/** `{ header, user }` or null; `user` is the answer of /whoami. */
export const session = new Cell(kept());

/** Why the last session ended, to be shown beside the login form. */
export const farewell = new Cell('');

export function basic(name, password) {
  const octets = new TextEncoder().encode(`${name}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...octets))}`;
}

export function begin(header, user) {
  const value = { header, user };
  try {
    sessionStorage.setItem(KEY, JSON.stringify(value));
  } catch {
    // It lasts until the page is loaded again.
  }
  farewell.set('');
  session.set(value);
}

export function end(reason = '') {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Nothing was kept.
  }
  farewell.set(reason);
  session.set(null);
}

export function hasTag(...tags) {
  const own = session.get()?.user?.tags ?? [];
  return own.includes('administrator') || tags.some((tag) => own.includes(tag));
}
