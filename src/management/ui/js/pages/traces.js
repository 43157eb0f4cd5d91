// Where messages went: rules that choose messages, and what happened to those.
import { html } from '../ui.js';
import { useCell } from '../cell.js';
import { get, path, put, query, remove } from '../api.js';
import { address, adjust, route } from '../router.js';
import { useLive } from '../live.js';
import { vhost } from '../settings.js';
import { ActionButton, ActionForm, Empty, Facts, Field, Folded, Go, Panel, Waiting, When } from '../parts.js';
import { Table } from '../table.js';
import { bytes, count, plural, span } from '../format.js';
import { VhostChoice } from './common.js';

const TONES = { acknowledged: 'good', rejected: 'bad', refused: 'bad', dropped: 'bad', dead_lettered: 'warn', purged: 'warn', queue_deleted: 'warn', requeued: 'warn', replayed: 'accent', published: 'accent' };
const CRITERIA = ['exchange', 'routing_key', 'queue', 'user', 'correlation_id', 'message_id'];
const SEARCHED = [['correlation_id', 'Correlation id'], ['message_id', 'Message id'], ['queue', 'Queue'], ['exchange', 'Exchange']];

const What = ({ of }) => html`<span class=${`tag ${TONES[of] ?? ''}`}>${of?.replace('_', ' ')}</span>`;
const exchangeName = (name) => name || '(default exchange)';

export function Traces() {
  const chosen = useCell(vhost);
  const { query: asked } = useCell(route);
  const wanted = Object.fromEntries(SEARCHED.map(([key]) => [key, asked[key]]));
  const target = `/harrier/traces${query({ ...wanted, vhost: chosen })}`;
  const { data, error, reload } = useLive(async (signal) => {
    const [rules, found] = await Promise.all([get('/harrier/trace-rules', { signal }), get(target, { signal })]);
    return { rules: rules.filter((rule) => !chosen || rule.vhost === chosen), found };
  }, target);
  if (!data) return html`<${Waiting} error=${error} retry=${reload} />`;
  return html`<${Rules} rules=${data.rules} reload=${reload} /><${Start} reload=${reload} /><${Found} found=${data.found} asked=${asked} anyRules=${data.rules.length > 0} />`;
}

function Rules({ rules, reload }) {
  const stop = async ({ vhost: within, name }) => {
    await remove(`/harrier/trace-rules${path(within, name)}`);
    reload();
    return `${name} was stopped; what it found stays`;
  };
  const says = (rule) => [...CRITERIA.filter((key) => rule[key] !== undefined).map((key) => [key.replace('_', ' '), rule[key] || '""']), ...Object.entries(rule.headers ?? {})];
  const columns = [
    { key: 'name', title: 'Rule', cls: 'name', cell: (rule) => rule.name }, { key: 'vhost', title: 'Virtual host', cell: (rule) => rule.vhost },
    { key: 'what', title: 'Chooses', cell: (rule) => html`<span class="tags">${says(rule).length ? says(rule).map(([name, value]) => html`<span class="tag mono">${name}: ${value}</span>`) : html`<span class="tag">everything</span>`}</span>` },
    { key: 'sample', title: 'Part', num: true, cell: (rule) => rule.sample },
    { key: 'chosen', title: 'Chosen so far', num: true, cell: (rule) => count(rule.chosen) },
    { key: 'by', title: 'By', cell: (rule) => rule.created_by }, { key: 'since', title: 'Since', cell: (rule) => html`<${When} at=${rule.created_at} />` },
    { key: 'acts', title: html`<span class="visually-hidden">Actions</span>`, cls: 'num', cell: (rule) => html`<${ActionButton} class="plain small" run=${() => stop(rule)}>Stop<//>` },
  ];
  return html`<${Panel} title="Rules" flush>${rules.length
    ? html`<${Table} label="Rules" columns=${columns} rows=${rules} keyOf=${(rule) => `${rule.vhost} ${rule.name}`} />`
    : html`<${Empty} title="Nothing is traced">Start a rule below: messages it chooses are followed from their publisher to their end. Rules hold until the broker stops.<//>`}<//>`;
}

function Start({ reload }) {
  const start = async ({ name, vhost: within, sample, ...given }) => {
    const criteria = Object.fromEntries(CRITERIA.filter((key) => given[key]).map((key) => [key, given[key]]));
    await put(`/harrier/trace-rules${path(within, name)}`, { ...criteria, sample: Number(sample) });
    reload();
    return `${name} traces what is published from now on`;
  };
  return html`<${Folded} title="Trace messages"><${ActionForm} label="Start" run=${start}>
    <p class="muted">What is left empty does not matter. In names and keys, * stands for anything.</p>
    <div class="fields"><${Field} label="Name of the rule" name="name" required /><${VhostChoice} />
      <${Field} label="Exchange" name="exchange" hint="amq.default is the default one" /><${Field} label="Routing key" name="routing_key" />
      <${Field} label="Goes to queue" name="queue" /><${Field} label="Published by user" name="user" />
      <${Field} label="Correlation id" name="correlation_id" /><${Field} label="Message id" name="message_id" />
      <${Field} label="Part of them" name="sample" type="number" min="0.0001" max="1" step="any" value="1" required hint="0.1 is every tenth" /></div><//><//>`;
}

function Found({ found, asked, anyRules }) {
  const search = (values) => adjust(Object.fromEntries(SEARCHED.map(([key]) => [key, values[key] ?? ''])));
  const columns = [
    { key: 'id', title: 'Trace', cls: 'name', cell: (story) => html`<${Go} to=${['traces', story.id]}>${story.id}<//>` },
    { key: 'at', title: 'Published', cls: 'nowrap', cell: (story) => html`<${When} at=${story.first_at} />` },
    { key: 'vhost', title: 'Virtual host', cell: (story) => story.vhost },
    { key: 'to', title: 'Exchange, key', cls: 'mono', cell: (story) => (story.exchange === undefined ? '' : `${exchangeName(story.exchange)}, ${story.routing_key}`) },
    { key: 'ids', title: 'Correlation or message id', cls: 'mono', cell: (story) => story.correlation_id ?? story.message_id },
    { key: 'last', title: 'Last', cell: (story) => html`<${What} of=${story.last} />` },
    { key: 'in', title: 'Is in', cell: (story) => html`<${Stays} of=${story} />` },
  ];
  const { ring } = found;
  const isSearch = SEARCHED.some(([key]) => asked[key]);
  const none = isSearch ? 'No message like that was traced' : anyRules ? 'Nothing was published yet that a rule chooses' : 'No traces';
  return html`
    <${Panel}><${ActionForm} label="Find" run=${search}><div class="fields">${SEARCHED.map(([key, label]) => html`<${Field} label=${label} name=${key} value=${asked[key] ?? ''} />`)}</div><//><//>
    <${Panel} title=${`Messages (${count(found.found)})`} flush tools=${html`<span class="muted">${plural(ring.events, 'event')} in ${bytes(ring.bytes)}${ring.gone > 0 ? `; ${count(ring.gone)} older ones are gone` : ''}</span>`}>${found.items.length
      ? html`<${Table} label="Traced messages" columns=${columns} rows=${found.items} keyOf=${(story) => story.id} />`
      : html`<${Empty} title=${none} />`}<//>`;
}

function Stays({ of }) {
  if (!of.in.length) return html`<span class="muted">no queue any more</span>`;
  return html`<span class="tags">${of.in.map(({ queue, state }) => html`<a class="tag mono" href=${address(['queues', of.vhost, queue])}>${queue}${state === 'unacked' ? ' (unacked)' : ''}</a>`)}</span>`;
}

/** What happened to one message. */
export function Trace({ names: [id] }) {
  const { data: story, error, reload } = useLive((signal) => get(`/harrier/traces${path(id)}`, { signal }), `trace ${id}`);
  if (!story) return html`<${Waiting} error=${error} retry=${reload} />`;
  const columns = [
    { key: 'at', title: 'After', num: true, cell: (event) => span(event.at - story.first_at) },
    { key: 'what', title: 'What', cell: (event) => html`<${What} of=${event.what} />` },
    { key: 'where', title: 'Where', cell: (event) => html`<${Where} event=${event} />` },
    { key: 'who', title: 'Who', cell: (event) => html`${event.user}${event.consumer_tag && html`, consumer <span class="mono">${event.consumer_tag}</span>`}${event.connection && html`<br /><small class="muted mono">${event.connection}, channel ${event.channel}</small>`}` },
  ];
  return html`
    <${Panel}><${Facts} of=${[
      ['Virtual host', story.vhost], ['Published', html`<${When} at=${story.first_at} />`], ['Correlation id', story.correlation_id], ['Message id', story.message_id],
      ['Trace parent', story.traceparent], ['Body', story.body_bytes === undefined ? '' : bytes(story.body_bytes)], ['Is in', html`<${Stays} of=${story} />`],
    ]} /><//>
    <${Panel} title="What happened" flush><${Table} label="What happened" columns=${columns} rows=${story.events} keyOf=${(event) => event.number} /><//>`;
}

function Where({ event }) {
  const from = event.queue && html`<a class="mono" href=${address(['queues', event.vhost, event.queue])}>${event.queue}</a>`;
  const why = event.reason ?? event.cause;
  const to = event.exchange !== undefined && html` to <span class="mono">${exchangeName(event.exchange)}</span> with key <span class="mono">${event.routing_key}</span>, ${event.queues.length ? 'into ' : 'into no queue'}${event.queues.map((queue, at) => html`${at > 0 && ', '}<span class="mono">${queue}</span>`)}`;
  return html`${from}${why && html` (${why.replace('_', ' ')})`}${event.redelivered && ' again'}${event.ack_required === false && ' without acknowledgement'}${to}
    ${(event.bindings ?? []).map((way) => html`<br /><small class="muted mono">${way.source} –${way.routing_key}→ ${way.destination}</small>`)}`;
}
