// Addresses: `#/queues/%2F/orders?tab=messages`. All of a page's state that is worth a bookmark,
// such as filter, order and page number, is in the query.
import { Cell } from './cell.js';

function parse(hash) {
  const [where, query = ''] = hash.replace(/^#/, '').split(/\?(.*)/s);
  const segments = where.split('/').filter(Boolean).map(decode);
  return { segments, query: Object.fromEntries(new URLSearchParams(query)) };
}

function decode(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

export const route = new Cell(parse(location.hash));

addEventListener('hashchange', () => route.set(parse(location.hash)));

export function address(segments, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const tail = given.length ? `?${new URLSearchParams(given)}` : '';
  return `#/${segments.map(encodeURIComponent).join('/')}${tail}`;
}

export function go(segments, query) {
  location.hash = address(segments, query);
}

/** Changes some of the query in place; what is set to '' goes. Not a step in the browser's history. */
export function adjust(changes) {
  const { segments, query } = route.get();
  history.replaceState(null, '', address(segments, { ...query, ...changes }));
  route.set(parse(location.hash));
}
