// Channels: where messages are in flight between the broker and its clients.
import { html } from '../ui.js';
import { useCell } from '../cell.js';
import { get, path, query } from '../api.js';
import { useLive } from '../live.js';
import { vhost } from '../settings.js';
import { Empty, Facts, Go, Panel, Problem, Waiting, When } from '../parts.js';
import { ListSearch, PagedTable, ShortTable, usePages } from '../table.js';
import { Chart } from '../chart.js';
import { historyQuery, useRange, useSeries } from '../history.js';
import { count, rate } from '../format.js';
import { ConsumersTable } from './common.js';
import { StateTag } from './connections.js';

const FIELDS = [
  'name', 'vhost', 'user', 'state', 'confirm', 'transactional', 'prefetch_count', 'consumer_count', 'messages_unacknowledged', 'messages_unconfirmed',
  'message_stats.publish_details.rate', 'message_stats.deliver_get_details.rate', 'message_stats.ack_details.rate',
];
const FLOW = [['publish', 'Published', 's1'], ['confirm', 'Confirmed', 's4'], ['deliver_get', 'Delivered', 's2'], ['ack', 'Acknowledged', 's3'], ['redeliver', 'Redelivered', 's5'], ['return_unroutable', 'Returned', 's6']];

function columns({ withVhost }) {
  const speed = (stat) => (channel) => rate(channel.message_stats?.[`${stat}_details`]?.rate ?? 0);
  return [
    { key: 'name', title: 'Channel', sort: 'name', cls: 'name', cell: (channel) => html`<${Go} to=${['channels', channel.name]}>${channel.name}<//>` },
    withVhost && { key: 'vhost', title: 'Virtual host', sort: 'vhost', cell: (channel) => channel.vhost },
    { key: 'user', title: 'User', sort: 'user', cell: (channel) => channel.user },
    { key: 'mode', title: 'Mode', cell: (channel) => html`<span class="tags">${channel.confirm && html`<span class="tag" title="Publishes are confirmed">confirms</span>`}${channel.transactional && html`<span class="tag">transactions</span>`}</span>` },
    { key: 'state', title: 'State', sort: 'state', cell: (channel) => html`<${StateTag} state=${channel.state} />` },
    { key: 'consumers', title: 'Consumers', sort: 'consumer_count', num: true, cell: (channel) => count(channel.consumer_count) },
    { key: 'prefetch', title: 'Prefetch', sort: 'prefetch_count', num: true, cell: (channel) => (channel.prefetch_count ? count(channel.prefetch_count) : 'no limit') },
    { key: 'unacked', title: 'Unacked', sort: 'messages_unacknowledged', num: true, cell: (channel) => count(channel.messages_unacknowledged) },
    { key: 'unconfirmed', title: 'Unconfirmed', sort: 'messages_unconfirmed', num: true, cell: (channel) => count(channel.messages_unconfirmed) },
    { key: 'publish', title: 'Published', sort: 'message_stats.publish_details.rate', num: true, cell: speed('publish') },
    { key: 'deliver', title: 'Delivered', sort: 'message_stats.deliver_get_details.rate', num: true, cell: speed('deliver_get') },
    { key: 'ack', title: 'Acked', sort: 'message_stats.ack_details.rate', num: true, cell: speed('ack') },
  ].filter(Boolean);
}

const none = html`<${Empty} title="No channels">A client opens one on its connection before it can do anything else.<//>`;

export function ChannelsTable({ channels }) {
  return html`<${ShortTable} label="Channels" what="channels" rows=${channels} first="name" columns=${columns({ withVhost: false })} keyOf=${(channel) => channel.name} empty=${none} />`;
}

export function Channels() {
  const chosen = useCell(vhost);
  const list = usePages(chosen ? `/vhosts${path(chosen)}/channels` : '/channels', { columns: FIELDS });
  return html`<${Panel} flush tools=${html`<${ListSearch} list=${list} />`}>
    <${PagedTable} list=${list} label="Channels" what="channels" columns=${columns({ withVhost: !chosen })} keyOf=${(channel) => channel.name} empty=${none} /><//>`;
}

export function Channel({ names: [name] }) {
  const target = `/channels${path(name)}`;
  const [seconds, choice] = useRange();
  const { data: channel, error, reload } = useLive((signal) => get(target + query(historyQuery(seconds, ['msg_rates'])), { signal }), `${target} ${seconds}`);
  const flow = useSeries(channel ? (channel.message_stats ?? {}) : null, FLOW, 'rate', `${target} ${seconds}`);
  if (!channel) return html`<${Waiting} error=${error} retry=${reload} />`;
  const connection = channel.connection_details?.name;
  return html`
    <${Problem} error=${error} retry=${reload} />
    <div class="columns">
      <${Panel} title="Messages a second" tools=${choice}><${Chart} title="Messages a second" lines=${flow} show=${rate} seconds=${seconds} /><//>
      <${Panel} title="What it is"><${Facts} of=${[
        ['Connection', connection && html`<${Go} to=${['connections', connection]}>${connection}<//>`], ['State', html`<${StateTag} state=${channel.state} />`], ['User', channel.user], ['Virtual host', channel.vhost],
        ['Publisher confirms', channel.confirm ? 'yes' : 'no'], ['Transactions', channel.transactional ? 'yes' : 'no'], ['Prefetch', channel.prefetch_count ? count(channel.prefetch_count) : 'no limit'],
        ['Unacknowledged', count(channel.messages_unacknowledged)], ['Unconfirmed', count(channel.messages_unconfirmed)], ['Uncommitted', channel.transactional ? count(channel.messages_uncommitted) : undefined],
        ['Idle since', channel.idle_since && html`<${When} at=${channel.idle_since} />`],
      ]} /><//>
    </div>
    <${Panel} title="Consumers" flush><${ConsumersTable} consumers=${channel.consumer_details ?? []} withChannel=${false} /><//>`;
}
