// How the broker fares, at a look: what flows, what waits, what needs somebody.
import { html } from '../ui.js';
import { useCell } from '../cell.js';
import { get, getIfThere, query } from '../api.js';
import { useLive } from '../live.js';
import { hasTag } from '../session.js';
import { vhost } from '../settings.js';
import { Chart } from '../chart.js';
import { historyQuery, useRange, useSeries } from '../history.js';
import { Empty, Go, Meter, Panel, Waiting } from '../parts.js';
import { Table } from '../table.js';
import { scoped } from '../frame.js';
import { bytes, compact, count, plural, rate, span } from '../format.js';

const FLOW = [
  ['publish', 'Published', 's1'], ['confirm', 'Confirmed', 's4'], ['deliver_get', 'Delivered', 's2'], ['ack', 'Acknowledged', 's3'],
  ['redeliver', 'Redelivered', 's5'], ['return_unroutable', 'Returned', 's6'],
];
const LENGTHS = [['messages_ready', 'Ready', 's5', true], ['messages_unacknowledged', 'Unacknowledged', 's3', true]];
/** Queues to show among those that need a look. */
const MOST_SHOWN = 6;

const QUEUE_FIELDS = 'name,vhost,messages_ready,messages_unacknowledged,consumers,message_stats.publish_details.rate,message_stats.deliver_get_details.rate';

export function Overview() {
  const [seconds, choice] = useRange();
  const chosen = useCell(vhost);
  const target = `/overview${query(historyQuery(seconds))}`;
  const longest = scoped('queues', chosen) + query({ page: 1, page_size: 50, sort: 'messages_ready', sort_reverse: true, columns: QUEUE_FIELDS, pagination: true });
  const { data, error, reload } = useLive(async (signal) => {
    const [overview, nodes] = await Promise.all([get(target, { signal }), hasTag('monitoring') ? getIfThere('/nodes', { signal }) : null]);
    return { overview, nodes };
  }, target);
  const { data: found } = useLive(async (signal) => {
    const answer = await get(longest, { signal });
    return answer.items ?? answer;
  }, longest, { pace: 3 });
  const stats = data?.overview.message_stats ?? (data ? {} : null);
  const flow = useSeries(stats, FLOW, 'rate', seconds);
  const lengths = useSeries(data?.overview.queue_totals ?? null, LENGTHS, 'level', seconds);
  if (!data) return html`<${Waiting} error=${error} retry=${reload} />`;
  const { overview, nodes } = data;
  const queues = found ?? [];
  return html`
    <${Figures} overview=${overview} />
    <${Attention} queues=${queues} />
    <div class="columns">
      <${Panel} title="Messages a second" tools=${choice}>
        <${Chart} title="Messages a second" lines=${flow} show=${rate} seconds=${seconds} />
      <//>
      <${Panel} title="Messages in queues">
        <${Chart} title="Messages in queues" lines=${lengths} show=${compact} seconds=${seconds} />
      <//>
    </div>
    ${nodes && html`<${Nodes} nodes=${nodes} />`}
    <div class="columns">
      ${found ? html`<${Longest} queues=${queues} />` : html`<${Panel} title="Longest queues"><${Waiting} /><//>`}
      <${Listeners} overview=${overview} />
    </div>`;
}

function Figures({ overview }) {
  const stats = overview.message_stats ?? {};
  const queued = overview.queue_totals ?? {};
  const churn = overview.churn_rates ?? {};
  const speed = (name) => stats[`${name}_details`]?.rate ?? 0;
  const unroutable = (stats.return_unroutable ?? 0) + (stats.drop_unroutable ?? 0);
  const totals = overview.object_totals ?? {};
  return html`<section class="flow" aria-label="Messages through the broker">
    <${Figure} label="Published" value=${rate(speed('publish'))} note=${`${compact(stats.publish ?? 0)} in all${unroutable ? `, ${compact(unroutable)} unroutable` : ''}`} />
    <span class="arrow" aria-hidden="true">→</span>
    <${Figure} label="Ready" value=${compact(queued.messages_ready ?? 0)} note=${`in ${plural(totals.queues ?? 0, 'queue')}`} />
    <span class="arrow" aria-hidden="true">→</span>
    <${Figure} label="Delivered" value=${rate(speed('deliver_get'))} note=${`to ${plural(totals.consumers ?? 0, 'consumer')}`} />
    <span class="arrow" aria-hidden="true">→</span>
    <${Figure} label="Unacknowledged" value=${compact(queued.messages_unacknowledged ?? 0)} note="handed out, not settled" />
    <span class="arrow" aria-hidden="true">→</span>
    <${Figure} label="Acknowledged" value=${rate(speed('ack'))} note=${`${plural(totals.connections ?? 0, 'connection')}, ${compact(churn.connection_created ?? 0)} since start`} />
  </section>`;
}

function Figure({ label, value, note }) {
  return html`<div class="figure"><span>${label}</span><b>${value}</b><small>${note}</small></div>`;
}

/** Queues whose messages nobody takes. */
function Attention({ queues }) {
  const stuck = queues.filter((queue) => queue.messages_ready > 0 && queue.consumers === 0);
  if (!stuck.length) return null;
  return html`<section class="attention" aria-label="Needs a look">
    <h2>${plural(stuck.length, 'queue')} ${stuck.length === 1 ? 'has' : 'have'} messages and no consumer</h2>
    <ul>${stuck.slice(0, MOST_SHOWN).map((queue) => html`<li>
      <${Go} to=${['queues', queue.vhost, queue.name]} class="mono">${queue.name}<//> <b>${count(queue.messages_ready)}</b>
      <${Go} to=${['dead-letters', queue.vhost, queue.name]}>look inside<//></li>`)}
      ${stuck.length > MOST_SHOWN && html`<li><${Go} to=${['queues']} query=${{ sort: 'messages_ready', desc: '1' }}>${plural(stuck.length - MOST_SHOWN, 'more')}<//></li>`}</ul>
  </section>`;
}

function Nodes({ nodes }) {
  const columns = [
    { key: 'name', title: 'Node', cls: 'name', cell: (node) => node.name },
    { key: 'uptime', title: 'Up for', cell: (node) => span(node.uptime) },
    { key: 'memory', title: 'Memory', cell: (node) => html`<${Meter} value=${node.mem_used} most=${node.mem_limit} high=${node.mem_alarm} text=${`${bytes(node.mem_used)} of ${bytes(node.mem_limit)}`} />` },
    { key: 'disk', title: 'Free disk', cell: (node) => html`<span class=${node.disk_free_alarm ? 'tag bad' : ''}>${bytes(node.disk_free)}</span><br /><small class="muted">alarm below ${bytes(node.disk_free_limit)}</small>` },
    { key: 'files', title: 'Open files', cell: (node) => html`<${Meter} value=${node.fd_used} most=${node.fd_total} high=${node.fd_used > 0.9 * node.fd_total} text=${`${count(node.fd_used)} of ${count(node.fd_total)}`} />` },
    { key: 'cores', title: 'Cores', num: true, cell: (node) => count(node.processors) },
    { key: 'state', title: 'State', cell: (node) => (node.running === false ? html`<span class="tag bad">down</span>` : html`<span class="tag good">running</span>`) },
  ];
  return html`<${Panel} title=${nodes.length === 1 ? 'Node' : 'Nodes'} flush><${Table} label="Nodes" columns=${columns} rows=${nodes} keyOf=${(node) => node.name} /><//>`;
}

function Longest({ queues }) {
  const long = queues.filter((queue) => queue.messages_ready + queue.messages_unacknowledged > 0).slice(0, 8);
  const columns = [
    { key: 'name', title: 'Queue', cls: 'name', cell: (queue) => html`<${Go} to=${['queues', queue.vhost, queue.name]}>${queue.name}<//>` },
    { key: 'ready', title: 'Ready', num: true, cell: (queue) => compact(queue.messages_ready) },
    { key: 'in', title: 'In', num: true, cell: (queue) => rate(queue.message_stats?.publish_details?.rate ?? 0) },
    { key: 'out', title: 'Out', num: true, cell: (queue) => rate(queue.message_stats?.deliver_get_details?.rate ?? 0) },
    { key: 'consumers', title: 'Consumers', num: true, cell: (queue) => count(queue.consumers) },
  ];
  return html`<${Panel} title="Longest queues" flush>${long.length
    ? html`<${Table} label="Longest queues" columns=${columns} rows=${long} keyOf=${(queue) => `${queue.vhost} ${queue.name}`} />`
    : html`<${Empty} title="All queues are empty">What is published is consumed at once, or nothing is published.<//>`}<//>`;
}

function Listeners({ overview }) {
  const columns = [
    { key: 'protocol', title: 'Protocol', cell: (listener) => listener.protocol },
    { key: 'address', title: 'Address', cls: 'name', cell: (listener) => listener.ip_address },
    { key: 'port', title: 'Port', num: true, cell: (listener) => String(listener.port) },
    { key: 'tls', title: 'TLS', cell: (listener) => (listener.tls || /ssl|https|tls/.test(listener.protocol) ? html`<span class="tag good">yes</span>` : html`<span class="muted">no</span>`) },
  ];
  const listeners = (overview.listeners ?? []).filter(({ protocol }) => protocol !== 'clustering');
  return html`<${Panel} title="Listeners" flush><${Table} label="Listeners" columns=${columns} rows=${listeners} keyOf=${(listener) => `${listener.protocol} ${listener.ip_address} ${listener.port}`} /><//>`;
}
