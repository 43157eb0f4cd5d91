// Exchanges: the list, and one with what is bound to it.
import { html } from '../ui.js';
import { useCell } from '../cell.js';
import { exchangeSegment, get, path, put, query, remove } from '../api.js';
import { go } from '../router.js';
import { useLive } from '../live.js';
import { vhost } from '../settings.js';
import { ActionForm, Check, Choice, Empty, Facts, Field, Folded, Go, Panel, Problem, Values, Waiting, confirm } from '../parts.js';
import { Pairs, usePairs } from '../pairs.js';
import { ListSearch, PagedTable, usePages } from '../table.js';
import { Chart } from '../chart.js';
import { historyQuery, useRange, useSeries } from '../history.js';
import { scoped } from '../frame.js';
import { rate } from '../format.js';
import { Features, VhostChoice } from './common.js';
import { BindingsEditor } from './binding_list.js';
import { PublishForm } from './publish.js';

const FIELDS = ['name', 'vhost', 'type', 'durable', 'auto_delete', 'internal', 'arguments', 'policy', 'message_stats.publish_in_details.rate', 'message_stats.publish_out_details.rate'];
const FLOW = [['publish_in', 'In', 's1'], ['publish_out', 'Out', 's2']];
const TYPES = ['direct', 'fanout', 'topic', 'headers'];
const isPredeclared = (name) => name === '' || name.startsWith('amq.');

export function Exchanges() {
  const chosen = useCell(vhost);
  const list = usePages(scoped('exchanges', chosen), { columns: FIELDS });
  const speed = (stat) => (exchange) => rate(exchange.message_stats?.[`${stat}_details`]?.rate ?? 0);
  const columns = [
    { key: 'name', title: 'Name', sort: 'name', cls: 'name', cell: (exchange) => html`<${Go} to=${['exchanges', exchange.vhost, exchangeSegment(exchange.name)]}>${exchange.name || '(default exchange)'}<//>` },
    !chosen && { key: 'vhost', title: 'Virtual host', sort: 'vhost', cell: (exchange) => exchange.vhost },
    { key: 'type', title: 'Type', sort: 'type', cell: (exchange) => exchange.type },
    { key: 'features', title: 'Features', cell: (exchange) => html`<${Features} of=${exchange} />` },
    { key: 'in', title: 'In', sort: 'message_stats.publish_in_details.rate', num: true, cell: speed('publish_in') },
    { key: 'out', title: 'Out', sort: 'message_stats.publish_out_details.rate', num: true, cell: speed('publish_out') },
  ].filter(Boolean);
  return html`
    <${Panel} flush tools=${html`<${ListSearch} list=${list} />`}>
      <${PagedTable} list=${list} label="Exchanges" what="exchanges" columns=${columns} keyOf=${(exchange) => `${exchange.vhost} ${exchange.name}`} empty=${html`<${Empty} title="No exchanges" />`} />
    <//>
    <${AddExchange} />`;
}

function AddExchange() {
  const pairs = usePairs();
  const { data } = useLive((signal) => get('/overview?columns=exchange_types', { signal }), 'types', { once: true });
  const types = data?.exchange_types?.filter(({ enabled }) => enabled !== false).map(({ name }) => name) ?? TYPES;
  async function add(values) {
    await put(`/exchanges${path(values.vhost, values.name)}`, {
      type: values.type, durable: values.durable === 'durable', auto_delete: values.auto_delete === 'on', internal: values.internal === 'on', arguments: pairs.value(),
    });
    go(['exchanges', values.vhost, values.name]);
    return `Exchange ${values.name} is there`;
  }
  return html`<${Folded} title="Add an exchange"><${ActionForm} label="Add exchange" run=${add}>
    <div class="fields">
      <${Field} label="Name" name="name" required /><${VhostChoice} />
      <${Choice} label="Type" name="type" options=${types} /><${Choice} label="Durability" name="durable" options=${[['durable', 'durable'], ['transient', 'transient']]} />
    </div>
    <div class="row"><${Check} label="Delete when nothing is bound to it any more (auto-delete)" name="auto_delete" /><${Check} label="Internal: clients can't publish to it" name="internal" /></div>
    <${Pairs} label="Arguments" pairs=${pairs} id="exchange-arguments" known=${[['alternate-exchange', 'takes what no binding matches']]} />
  <//><//>`;
}

export function Exchange({ names: [vhostName, segment] }) {
  const name = segment === 'amq.default' ? '' : segment;
  const target = `/exchanges${path(vhostName, segment)}`;
  const [seconds, choice] = useRange();
  const { data, error, reload } = useLive(async (signal) => {
    const [exchange, outgoing, incoming] = await Promise.all([
      get(target + query(historyQuery(seconds, ['msg_rates'])), { signal }),
      name ? get(`${target}/bindings/source`, { signal }) : [],
      name ? get(`${target}/bindings/destination`, { signal }) : [],
    ]);
    return { exchange, outgoing, incoming };
  }, `${target} ${seconds}`);
  const flow = useSeries(data ? (data.exchange.message_stats ?? {}) : null, FLOW, 'rate', `${target} ${seconds}`);
  if (!data) return html`<${Waiting} error=${error} retry=${reload} />`;
  const { exchange, outgoing, incoming } = data;
  return html`
    <${Problem} error=${error} retry=${reload} />
    <div class="row spread"><${Features} of=${exchange} />${!isPredeclared(name) && html`<${Delete} name=${name} target=${target} bindings=${outgoing.length} />`}</div>
    <div class="columns">
      <${Panel} title="Messages a second" tools=${choice}><${Chart} title="Messages a second" lines=${flow} show=${rate} seconds=${seconds} /><//>
      <${Panel} title="What it is"><div class="stack">
        <${Facts} of=${[['Type', exchange.type], ['Virtual host', exchange.vhost], ['Durable', exchange.durable ? 'yes' : 'no'], ['Policy', exchange.policy], ['Made by', exchange.user_who_performed_action]]} />
        <h3>Arguments</h3><${Values} of=${exchange.arguments} /></div><//>
    </div>
    ${name
      ? html`<${Panel} title="Bindings from here" flush><${BindingsEditor} vhost=${vhostName} bindings=${outgoing} source=${name} reload=${reload} /><//>
        <${Panel} title="Bindings to here" flush><${BindingsEditor} vhost=${vhostName} bindings=${incoming} destination=${['e', name]} reload=${reload} /><//>`
      : html`<${Panel} title="Bindings"><p>Every queue is bound to the default exchange by its own name. These bindings can't be changed.</p><//>`}
    ${!exchange.internal && html`<${Folded} title="Publish a message" id="publish"><${PublishForm} vhost=${vhostName} exchange=${name} onDone=${reload} /><//>`}`;
}

function Delete({ name, target, bindings }) {
  const ask = () => confirm({
    title: `Delete ${name}?`, label: 'Delete exchange', text: `${bindings} of its bindings go with it; who publishes to it gets an error.`,
    run: async () => {
      await remove(target);
      go(['exchanges']);
      return `${name} was deleted`;
    },
  });
  return html`<button type="button" class="danger" onClick=${ask}>Delete</button>`;
}
