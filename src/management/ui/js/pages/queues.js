// All queues, as many as there are.
import { html, useState } from '../ui.js';
import { useCell } from '../cell.js';
import { path, put } from '../api.js';
import { go } from '../router.js';
import { vhost } from '../settings.js';
import { ActionForm, Check, Choice, Empty, Field, Folded, Go, Panel } from '../parts.js';
import { Pairs, usePairs } from '../pairs.js';
import { ListSearch, PagedTable, usePages } from '../table.js';
import { scoped } from '../frame.js';
import { compact, count, rate } from '../format.js';
import { Features, VhostChoice } from './common.js';

const FIELDS = [
  'name', 'vhost', 'type', 'durable', 'auto_delete', 'exclusive', 'arguments', 'policy', 'state', 'messages', 'messages_ready', 'messages_unacknowledged', 'consumers',
  'message_stats.publish_details.rate', 'message_stats.deliver_get_details.rate', 'message_stats.ack_details.rate',
];

/** Arguments that a queue may be declared with, to be offered while typing. */
export const QUEUE_ARGUMENTS = [
  ['x-dead-letter-exchange', 'where rejected and expired messages go'], ['x-dead-letter-routing-key', 'their routing key'], ['x-message-ttl', 'milliseconds until a message expires'],
  ['x-expires', 'milliseconds until the unused queue goes'], ['x-max-length', 'messages at most'], ['x-max-length-bytes', 'octets at most'],
  ['x-overflow', 'drop-head, reject-publish or reject-publish-dlx'], ['x-max-priority', 'priorities, classic queues'], ['x-single-active-consumer', 'one consumer at a time'],
  ['x-delivery-limit', 'deliveries before a message is dead-lettered, quorum queues'], ['x-dead-letter-strategy', 'at-most-once or at-least-once, quorum queues'],
];

export function queueColumns(withVhost) {
  const speed = (stat) => (queue) => rate(queue.message_stats?.[`${stat}_details`]?.rate ?? 0);
  return [
    { key: 'name', title: 'Name', sort: 'name', cls: 'name', cell: (queue) => html`<${Go} to=${['queues', queue.vhost, queue.name]}>${queue.name}<//>` },
    withVhost && { key: 'vhost', title: 'Virtual host', sort: 'vhost', cell: (queue) => queue.vhost },
    { key: 'type', title: 'Type', sort: 'type', cell: (queue) => queue.type },
    { key: 'features', title: 'Features', cell: (queue) => html`<${Features} of=${queue} />` },
    { key: 'ready', title: 'Ready', sort: 'messages_ready', num: true, cell: (queue) => compact(queue.messages_ready) },
    { key: 'unacked', title: 'Unacked', sort: 'messages_unacknowledged', num: true, cell: (queue) => compact(queue.messages_unacknowledged) },
    { key: 'in', title: 'In', sort: 'message_stats.publish_details.rate', num: true, cell: speed('publish') },
    { key: 'out', title: 'Out', sort: 'message_stats.deliver_get_details.rate', num: true, cell: speed('deliver_get') },
    { key: 'ack', title: 'Acked', sort: 'message_stats.ack_details.rate', num: true, cell: speed('ack') },
    { key: 'consumers', title: 'Consumers', sort: 'consumers', num: true, cell: (queue) => count(queue.consumers) },
  ].filter(Boolean);
}

export function Queues() {
  const chosen = useCell(vhost);
  const list = usePages(scoped('queues', chosen), { columns: FIELDS });
  return html`
    <${Panel} flush tools=${html`<${ListSearch} list=${list} />`}>
      <${PagedTable} list=${list} label="Queues" what="queues" columns=${queueColumns(!chosen)} keyOf=${(queue) => `${queue.vhost} ${queue.name}`}
        empty=${html`<${Empty} title="No queues yet">A queue appears when a client declares one, or when you add one below.<//>`} />
    <//>
    <${AddQueue} />`;
}

function AddQueue() {
  const [type, setType] = useState('');
  const pairs = usePairs();
  async function add(values) {
    const args = pairs.value();
    if (type) args['x-queue-type'] = type;
    const durable = values.durable !== 'transient';
    await put(`/queues${path(values.vhost, values.name)}`, { durable, auto_delete: values.auto_delete === 'on', arguments: args });
    go(['queues', values.vhost, values.name]);
    return `Queue ${values.name} is there`;
  }
  return html`<${Folded} title="Add a queue"><${ActionForm} label="Add queue" run=${add}>
    <div class="fields">
      <${Field} label="Name" name="name" required />
      <${VhostChoice} />
      <${Choice} label="Type" name="type" value=${type} onChange=${(event) => setType(event.currentTarget.value)} options=${[['', 'default of the virtual host'], 'classic', 'quorum']} />
      <${Choice} label="Durability" name="durable" options=${[['durable', 'durable'], ['transient', 'transient']]} hint="Quorum queues are always durable" />
    </div>
    <${Check} label="Delete when the last consumer goes (auto-delete)" name="auto_delete" />
    <${Pairs} label="Arguments" pairs=${pairs} known=${QUEUE_ARGUMENTS} id="queue-arguments" />
  <//><//>`;
}
