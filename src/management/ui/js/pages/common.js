// What several pages show alike.
import { html, useMemo } from '../ui.js';
import { useCell } from '../cell.js';
import { get } from '../api.js';
import { useLive } from '../live.js';
import { hasTag } from '../session.js';
import { vhost } from '../settings.js';
import { Choice, Empty, Go } from '../parts.js';
import { ShortTable } from '../table.js';
import { brief, count } from '../format.js';

/** A link where it leads somewhere, for others the bare name. */
export function ForAdministrators({ to, children }) {
  return hasTag() ? html`<${Go} to=${to}>${children}<//>` : children;
}

/** Short names of what an object is, with the whole of it on hovering. */
export function Features({ of }) {
  const args = Object.entries(of.arguments ?? {}).filter(([name]) => name !== 'x-queue-type');
  const flags = [
    of.durable === false && ['transient', 'is gone after a restart'], of.auto_delete && ['auto-delete', 'goes with its last user'],
    of.exclusive && ['exclusive', 'belongs to one connection'], of.internal && ['internal', 'clients cannot publish to it'],
  ].filter(Boolean);
  return html`<span class="tags">
    ${flags.map(([text, title]) => html`<span class="tag" title=${title}>${text}</span>`)}
    ${of.policy && html`<span class="tag accent" title="policy">${of.policy}</span>`}
    ${args.map(([name, value]) => html`<span class="tag" title=${`${name}: ${brief(value)}`}>${name.replace(/^x-/, '')}</span>`)}
    ${of.state && !['running', 'idle'].includes(of.state) && html`<span class="tag warn">${of.state}</span>`}
  </span>`;
}

export function VhostChoice({ name = 'vhost' }) {
  const chosen = useCell(vhost);
  const { data } = useLive((signal) => get('/vhosts?columns=name', { signal }), 'vhosts', { once: true });
  const names = (data ?? []).map((each) => each.name);
  const first = chosen || (names.includes('/') ? '/' : names[0]);
  return html`<${Choice} label="Virtual host" name=${name} options=${names} value=${first} />`;
}

export function ConsumersTable({ consumers, withQueue = true, withChannel = true }) {
  const columns = [
    withQueue && { key: 'queue', title: 'Queue', sort: 'queue.name', cls: 'name', cell: ({ queue }) => html`<${Go} to=${['queues', queue.vhost, queue.name]}>${queue.name}<//>` },
    { key: 'tag', title: 'Consumer tag', sort: 'consumer_tag', cls: 'name', cell: (consumer) => consumer.consumer_tag },
    withChannel && { key: 'channel', title: 'Channel', sort: 'channel_details.name', cls: 'name', cell: ({ channel_details: channel }) => (channel?.name ? html`<${Go} to=${['channels', channel.name]}>${channel.name}<//>` : '–') },
    { key: 'user', title: 'User', sort: 'channel_details.user', cell: ({ channel_details: channel }) => channel?.user ?? '–' },
    { key: 'ack', title: 'Acks', cell: (consumer) => (consumer.ack_required ? 'manual' : html`<span class="tag warn" title="Messages count as settled when they are sent">automatic</span>`) },
    { key: 'prefetch', title: 'Prefetch', sort: 'prefetch_count', num: true, cell: (consumer) => (consumer.prefetch_count ? count(consumer.prefetch_count) : 'no limit') },
    { key: 'state', title: 'State', cell: (consumer) => html`<span class=${`tag ${consumer.active === false ? '' : 'good'}`}>${(consumer.activity_status ?? 'up').replace('_', ' ')}</span>${consumer.exclusive ? html` <span class="tag">exclusive</span>` : ''}` },
  ].filter(Boolean);
  return html`<${ShortTable} label="Consumers" what="consumers" rows=${consumers} columns=${columns} first="consumer_tag" keyOf=${(c) => `${c.channel_details?.name} ${c.consumer_tag}`}
    empty=${html`<${Empty} title="No consumers">Nobody takes messages here at the moment.<//>`} />`;
}

/** `{ name: label }` of properties of a message that forms ask for. */
export const PROPERTIES = [
  ['content_type', 'Content type'], ['correlation_id', 'Correlation id'], ['message_id', 'Message id'], ['reply_to', 'Reply to'], ['type', 'Type'], ['expiration', 'Expiration (ms)'], ['priority', 'Priority'], ['app_id', 'App id'],
];

/** JSON with line breaks where a text is JSON; null where it isn't. */
export function usePretty(text) {
  return useMemo(() => {
    if (!/^\s*[[{]/.test(text ?? '')) return null;
    try {
      return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      return null;
    }
  }, [text]);
}
