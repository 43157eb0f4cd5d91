// The HTTP API: all that the pages know of the broker comes through here.
import { end, session } from './session.js';

/** What the broker, or the way to it, had against a request. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** A path below /api of segments that may hold anything, a slash included. */
export function path(...segments) {
  return segments.map((segment) => `/${encodeURIComponent(segment)}`).join('');
}

/** An exchange's name as paths spell it. */
export const exchangeSegment = (name) => name || 'amq.default';

export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== '' && value !== false);
  return given.length ? `?${new URLSearchParams(given)}` : '';
}

async function problem(response) {
  const text = await response.text().catch(() => '');
  try {
    const { reason, error } = JSON.parse(text);
    const said = typeof reason === 'string' ? reason : (reason && JSON.stringify(reason)) || error;
    if (said) return said;
  } catch {
    // Not JSON: say what there is.
  }
  return text.slice(0, 400) || `${response.status} ${response.statusText}`;
}

/** Sends a request and returns the Response; throws ApiError for any status that isn't a success. */
export async function request(method, target, { body, type = 'application/json', headers = {}, signal, header } = {}) {
  const own = session.get();
  const all = { Accept: 'application/json, */*;q=0.5', ...headers, Authorization: header ?? own?.header ?? '' };
  if (body !== undefined) all['Content-Type'] = type;
  let response;
  try {
    response = await fetch(`api${target}`, {
      method,
      headers: all,
      body: body === undefined || typeof body === 'string' || body instanceof Blob ? body : JSON.stringify(body),
      signal,
      cache: 'no-store',
      // Also keeps the browser from putting up its own password prompt.
      credentials: 'omit',
      redirect: 'error',
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(0, 'The broker does not answer. Is it running, and is this address still its own?');
  }
  if (response.ok) return response;
  const said = await problem(response);
  if (response.status === 401 && !header && own && (await isSignedOut(own.header))) {
    end('Your session ended: the broker no longer accepts these credentials.');
  }
  throw new ApiError(response.status, said);
}

/** The API says 401 for "not allowed" as well, so ask whether the credentials themselves still hold. */
async function isSignedOut(header) {
  try {
    const response = await fetch('api/whoami', { headers: { Authorization: header }, credentials: 'omit', cache: 'no-store' });
    return response.status === 401;
  } catch {
    return false;
  }
}

async function parsed(response) {
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

export const get = async (target, options) => parsed(await request('GET', target, options));
export const put = async (target, body = {}) => parsed(await request('PUT', target, { body }));
export const post = async (target, body = {}, options) => parsed(await request('POST', target, { body, ...options }));
export const remove = async (target, options) => parsed(await request('DELETE', target, options));

/** Null instead of an error where the broker has no such resource. */
export async function getIfThere(target, options) {
  try {
    return await get(target, options);
  } catch (error) {
    if (error.status === 404 || error.status === 405) return null;
    throw error;
  }
}

/** Hands what a GET answers to the browser as a file. */
export async function download(target, name) {
  const response = await request('GET', target);
  save(await response.blob(), name);
}

export function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
