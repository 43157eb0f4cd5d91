// The workbench's part of the HTTP API, and how its answers are read.
import { get, path, post, query, request } from '../api.js';

export const base = (vhost, queue) => `/harrier/queues${path(vhost, queue)}/messages`;

/** Filters by their name in the address and the API: `[name, label, hint]`. */
export const FILTERS = [
  ['text', 'Text', 'anywhere in the body'], ['correlation_id', 'Correlation id'], ['message_id', 'Message id'], ['routing_key', 'Routing key'], ['reason', 'Reason', 'rejected, expired, maxlen, delivery_limit'],
  ['first_queue', 'First died in', 'name of a queue'], ['header', 'Header', 'name=value'], ['json', 'Field of the JSON body', 'order.id=17'], ['older_than', 'Older than', '10m, 2h, 3d'], ['newer_than', 'Newer than', '10m, 2h, 3d'],
];

export const filtersOf = (asked) => Object.fromEntries(FILTERS.map(([name]) => [name, asked[name]]).filter(([, value]) => value));

export const look = (vhost, queue, filters, cursor, signal) => get(base(vhost, queue) + query({ ...filters, cursor, count: 50 }), { signal });
export const summary = (vhost, queue, filters, signal) => get(`${base(vhost, queue)}/summary${query(filters)}`, { signal });
export const replay = (vhost, queue, body) => post(`${base(vhost, queue)}/replay`, body);
export const drop = (vhost, queue, body) => post(`${base(vhost, queue)}/drop`, body);
export const job = (id, signal) => get(`/harrier/jobs${path(id)}`, { signal });
export const cancel = (id) => request('DELETE', `/harrier/jobs${path(id)}`);
