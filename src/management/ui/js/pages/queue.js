// One queue: how it fares, who feeds it, who takes from it, and what can be done with it.
import { html, useState } from '../ui.js';
import { get, getIfThere, path, post, query, remove } from '../api.js';
import { go } from '../router.js';
import { useLive } from '../live.js';
import { ActionForm, Choice, Empty, Facts, Field, Folded, Go, Panel, Problem, Values, Waiting, When, confirm } from '../parts.js';
import { Chart } from '../chart.js';
import { historyQuery, useRange, useSeries } from '../history.js';
import { bytes, compact, count, plural, rate } from '../format.js';
import { ConsumersTable, Features, ForAdministrators } from './common.js';
import { BindingsEditor } from './binding_list.js';
import { PublishForm } from './publish.js';
import { MessageView } from './message.js';

const FLOW = [['publish', 'In', 's1'], ['deliver_get', 'Out', 's2'], ['ack', 'Acknowledged', 's3'], ['redeliver', 'Redelivered', 's5']];
const LENGTHS = [['messages_ready', 'Ready', 's5', true], ['messages_unacknowledged', 'Unacknowledged', 's3', true]];

export function Queue({ names: [vhost, name] }) {
  const target = `/queues${path(vhost, name)}`;
  const [seconds, choice] = useRange();
  const { data, error, reload } = useLive(async (signal) => {
    const [queue, bindings] = await Promise.all([get(target + query(historyQuery(seconds)), { signal }), getIfThere(`${target}/bindings`, { signal })]);
    return { queue, bindings };
  }, `${target} ${seconds}`);
  const queue = data?.queue;
  const flow = useSeries(queue ? (queue.message_stats ?? {}) : null, FLOW, 'rate', `${target} ${seconds}`);
  const lengths = useSeries(queue ?? null, LENGTHS, 'level', `${target} ${seconds}`);
  if (!queue) return html`<${Waiting} error=${error} retry=${reload} />`;
  return html`
    <${Problem} error=${error} retry=${reload} />
    <div class="row spread">
      <${Features} of=${queue} />
      <div class="row">
        <${Go} to=${['dead-letters', vhost, name]} class="button">Look at messages<//>
        <${Purge} queue=${queue} target=${target} done=${reload} />
        <${Delete} queue=${queue} target=${target} />
      </div>
    </div>
    <div class="columns">
      <${Panel} title="Messages" tools=${choice}><${Chart} title="Messages" lines=${lengths} show=${compact} seconds=${seconds} /><//>
      <${Panel} title="Messages a second"><${Chart} title="Messages a second" lines=${flow} show=${rate} seconds=${seconds} /><//>
    </div>
    <div class="columns">
      <${Panel} title="State"><${State} queue=${queue} /><//>
      <${Panel} title="Rules"><${Rules} queue=${queue} vhost=${vhost} /><//>
    </div>
    <${Panel} title=${`Consumers (${count(queue.consumer_details?.length ?? queue.consumers)})`} flush><${ConsumersTable} consumers=${queue.consumer_details ?? []} withQueue=${false} /><//>
    <${Panel} title="Bindings" flush><${BindingsEditor} vhost=${vhost} bindings=${data.bindings ?? []} destination=${['q', name]} reload=${reload} /><//>
    <${Folded} title="Publish a message here" id="publish">
      <p class="muted">Goes through the default exchange, with the queue's name as routing key.</p>
      <${PublishForm} vhost=${vhost} exchange="" routingKey=${name} onDone=${reload} />
    <//>
    <${Folded} title="Get messages"><${GetMessages} target=${target} vhost=${vhost} name=${name} reload=${reload} /><//>`;
}

function State({ queue }) {
  return html`<${Facts} of=${[
    ['Ready', `${count(queue.messages_ready)}, ${bytes(queue.message_bytes_ready)}`],
    ['Unacknowledged', `${count(queue.messages_unacknowledged)}, ${bytes(queue.message_bytes_unacknowledged)}`],
    ['In memory', queue.messages_ram !== undefined && `${count(queue.messages_ram)}, ${bytes(queue.message_bytes_ram)}`],
    ['Persistent', queue.messages_persistent !== undefined && `${count(queue.messages_persistent)}, ${bytes(queue.message_bytes_persistent)}`],
    ['Oldest message', queue.head_message_timestamp && html`<${When} at=${queue.head_message_timestamp} />`],
    ['Consumer capacity', queue.consumers > 0 && typeof queue.consumer_capacity === 'number' && `${Math.round(100 * queue.consumer_capacity)} % of the time ready for more`],
    ['Idle since', queue.idle_since && html`<${When} at=${queue.idle_since} />`],
    ['State', queue.state], ['Node', queue.node],
  ].map(([name, value]) => [name, value || undefined])} />`;
}

function Rules({ queue, vhost }) {
  const link = (policy) => policy && html`<${Go} to=${['policies']} query=${{ q: policy }}>${policy}<//>`;
  return html`<div class="stack">
    <${Facts} of=${[
      ['Type', queue.type], ['Virtual host', html`<${ForAdministrators} to=${['vhosts', vhost]}>${vhost}<//>`], ['Policy', link(queue.policy)], ['Operator policy', link(queue.operator_policy)],
      ['Single active consumer', queue.single_active_consumer_tag],
    ]} />
    <h3>Arguments</h3><${Values} of=${queue.arguments} />
    ${Object.keys(queue.effective_policy_definition ?? {}).length > 0 && html`<h3>In force by policy</h3><${Values} of=${queue.effective_policy_definition} />`}
  </div>`;
}

function Purge({ queue, target, done }) {
  const ask = () => confirm({
    title: `Purge ${queue.name}?`, label: 'Purge',
    text: `${plural(queue.messages_ready, 'ready message')} will be gone for good; those handed out to consumers stay.`,
    run: async () => {
      await remove(`${target}/contents`);
      done();
      return `${queue.name} was purged`;
    },
  });
  return html`<button type="button" class="danger" disabled=${queue.messages_ready === 0} onClick=${ask}>Purge</button>`;
}

function Delete({ queue, target }) {
  const ask = () => confirm({
    title: `Delete ${queue.name}?`, label: 'Delete queue', typed: queue.messages > 0 ? queue.name : undefined,
    text: `${plural(queue.messages, 'message')} and ${plural(queue.consumers ?? 0, 'consumer')} go with it.`,
    run: async () => {
      await remove(target);
      go(['queues']);
      return `${queue.name} was deleted`;
    },
  });
  return html`<button type="button" class="danger" onClick=${ask}>Delete</button>`;
}

const MODES = [
  ['ack_requeue_true', 'put back (marked redelivered)'], ['reject_requeue_true', 'reject and put back'], ['ack_requeue_false', 'take for good'], ['reject_requeue_false', 'reject (dead letter, or gone)'],
];

function GetMessages({ target, vhost, name, reload }) {
  const [messages, setMessages] = useState(null);
  async function fetch(values) {
    setMessages(await post(`${target}/get`, { vhost, name, count: Number(values.count), ackmode: values.ackmode, encoding: 'auto', truncate: 100_000 }));
    reload();
  }
  return html`<div class="stack">
    <p class="muted">This takes messages out of the queue, as a consumer would. To look without touching anything, <${Go} to=${['dead-letters', vhost, name]}>look at messages<//>.</p>
    <${ActionForm} label="Get" run=${fetch} keep><div class="fields">
      <${Field} label="How many" name="count" type="number" min="1" max="500" defaultValue="1" required />
      <${Choice} label="And then" name="ackmode" options=${MODES} />
    </div><//>
    ${messages && (messages.length ? messages.map((message) => html`<${MessageView} message=${message} />`) : html`<${Empty} title="The queue is empty" />`)}
  </div>`;
}
