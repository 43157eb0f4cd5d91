// The workbench's part of the HTTP API, and how its answers are read.
import { get, path, post, query, request } from '../api.js';

export const base = (vhost, queue) => `/harrier/queues${path(vhost, queue)}/messages`;

/** Filters by their name in the address and the API: `[name, label, hint]`. `*` in a value stands for anything. */
export const FILTERS = [
  ['text', 'Text', 'in body, properties or key'], ['correlation_id', 'Correlation id', 'order-17 or order-*'], ['message_id', 'Message id'], ['routing_key', 'Routing key', 'now or when it first died'],
  ['reason', 'Reason', 'rejected, expired, maxlen, delivery_limit'], ['first_queue', 'First died in', 'a queue'], ['queue', 'Died in', 'a queue, any time'], ['error', 'Error', 'in a header that tells one'],
  ['header', 'Header', 'name=value'], ['json', 'Field of the JSON body', 'order.id=17'], ['type', 'Type'], ['app_id', 'App id'], ['exchange', 'Exchange'],
  ['older_than', 'Older than', '90s, 15m, 2h or 3d'], ['newer_than', 'Newer than', '90s, 15m, 2h or 3d'], ['replayed', 'Replayed before', 'true or false'],
];

export const filtersOf = (asked) => Object.fromEntries(FILTERS.map(([name]) => [name, asked[name]]).filter(([, value]) => value));

/** Messages of a page. */
const LIMIT = 50;
/** Octets of each body that come with a page. */
const TRUNCATE = 16_384;

export async function look(vhost, queue, filters, cursor, signal) {
  const page = await get(base(vhost, queue) + query({ ...filters, cursor, limit: LIMIT, truncate: TRUNCATE }), { signal });
  return { counts: page.counts, cursor: page.next_cursor, messages: page.items.map(readMessage) };
}

/** One message with all of its body. */
export const whole = async (vhost, queue, id) => readMessage(await get(base(vhost, queue) + path(id)));

function readMessage(message) {
  const { headers = {}, ...properties } = message.properties ?? {};
  return {
    ...message, headers, properties,
    body: { encoding: message.payload_encoding === 'string' ? 'text' : 'base64', text: message.payload ?? '', bytes: message.payload_bytes, truncated: message.payload_truncated },
  };
}

export async function summary(vhost, queue, filters, signal) {
  const said = await get(`${base(vhost, queue)}/summary${query(filters)}`, { signal });
  return { ...said, timeline: (said.timeline?.parts ?? []).map(({ from, count }) => ({ at: from, count })), step: said.timeline?.seconds ?? 60 };
}

export const replay = (vhost, queue, body) => post(`${base(vhost, queue)}/replay`, body);
export const drop = (vhost, queue, body) => post(`${base(vhost, queue)}/drop`, body);
export const job = (id, signal) => get(`/harrier/jobs${path(id)}`, { signal });
export const jobs = (signal) => get('/harrier/jobs', { signal });
export const cancel = (id) => request('DELETE', `/harrier/jobs${path(id)}`);
export const resume = (id) => post(`/harrier/jobs${path(id)}/resume`);

/** The lines of an export: of all that match, or of those with these ids. */
export async function exported(vhost, queue, { ids, filter }) {
  const response = await request('GET', `${base(vhost, queue)}/export${query(filter ?? {})}`, { headers: { Accept: 'application/x-ndjson, application/json' } });
  if (!ids) return response.blob();
  const lines = (await response.text()).split('\n').filter((line) => line && ids.includes(JSON.parse(line).id));
  return new Blob(lines.map((line) => `${line}\n`));
}

export async function imported(vhost, queue, file) {
  const response = await request('POST', `${base(vhost, queue)}/import`, { body: file, type: 'application/x-ndjson' });
  return (await response.json()).imported;
}
