// Bindings of one queue or exchange, to be added to and taken from.
import { html } from '../ui.js';
import { exchangeSegment, path, post, remove } from '../api.js';
import { ActionForm, Choice, Empty, Field, Go, confirm } from '../parts.js';
import { Pairs, usePairs } from '../pairs.js';
import { Table } from '../table.js';

const letter = (type) => (type === 'exchange' ? 'e' : 'q');

export function bindingPath({ vhost, source, destination, destination_type: type }) {
  return `/bindings${path(vhost)}/e${path(exchangeSegment(source))}/${letter(type)}${path(destination)}`;
}

/** Where a binding's end leads in this interface. */
export function EndLink({ vhost, name, type }) {
  if (type !== 'queue' && name === '') return html`<${Go} to=${['exchanges', vhost, 'amq.default']}>(default exchange)<//>`;
  return html`<${Go} to=${[type === 'queue' ? 'queues' : 'exchanges', vhost, name]}>${name}<//>`;
}

export function bindingArguments(binding) {
  return Object.entries(binding.arguments ?? {}).map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(', ');
}

function unbind(binding, reload) {
  confirm({
    title: 'Remove this binding?', label: 'Remove binding',
    text: `Messages with routing key "${binding.routing_key}" no longer go from ${binding.source} to ${binding.destination}.`,
    run: async () => {
      await remove(bindingPath(binding) + path(binding.properties_key));
      reload();
      return 'Binding removed';
    },
  });
}

/** Either `source` (an exchange's name) or `destination` (`['q' or 'e', name]`) is the end that is fixed. */
export function BindingsEditor({ vhost, bindings, source, destination, reload }) {
  const columns = [
    source === undefined
      ? { key: 'source', title: 'From', cls: 'name', cell: (binding) => html`<${EndLink} vhost=${vhost} name=${binding.source} type="exchange" />` }
      : { key: 'destination', title: 'To', cls: 'name', cell: (binding) => html`<${EndLink} vhost=${vhost} name=${binding.destination} type=${binding.destination_type} /> <span class="tag">${binding.destination_type}</span>` },
    { key: 'key', title: 'Routing key', cls: 'name', cell: (binding) => binding.routing_key || html`<span class="muted">empty</span>` },
    { key: 'arguments', title: 'Arguments', cls: 'mono', cell: bindingArguments },
    { key: 'remove', title: html`<span class="visually-hidden">Remove</span>`, cls: 'num', cell: (binding) => binding.source !== '' && html`<button type="button" class="plain danger small" onClick=${() => unbind(binding, reload)}>Remove</button>` },
  ];
  return html`
    ${bindings.length
      ? html`<${Table} label="Bindings" columns=${columns} rows=${bindings} keyOf=${(b) => `${b.source} ${b.destination_type} ${b.destination} ${b.properties_key}`} />`
      : html`<${Empty} title="No bindings">${source === undefined ? 'Nothing is routed here yet.' : 'Messages published here are dropped, or returned if they are mandatory.'}<//>`}
    <details><summary>Add a binding</summary><div class="body padded"><${AddBinding} vhost=${vhost} source=${source} destination=${destination} reload=${reload} /></div></details>`;
}

function AddBinding({ vhost, source, destination, reload }) {
  const pairs = usePairs();
  async function add(values) {
    const from = source ?? values.source;
    const [kind, to] = destination ?? [values.kind, values.destination];
    await post(`/bindings${path(vhost)}/e${path(exchangeSegment(from))}/${kind}${path(to)}`, { routing_key: values.routing_key, arguments: pairs.value() });
    reload();
    return 'Bound';
  }
  return html`<${ActionForm} label="Bind" run=${add}>
    <div class="fields">
      ${source === undefined
        ? html`<${Field} label="From exchange" name="source" required />`
        : html`<${Choice} label="To" name="kind" options=${[['q', 'queue'], ['e', 'exchange']]} /><${Field} label="Name" name="destination" required />`}
      <${Field} label="Routing key" name="routing_key" />
    </div>
    <${Pairs} label="Arguments" pairs=${pairs} id="binding-arguments" known=${[['x-match', 'all or any, for headers exchanges']]} />
  <//>`;
}
