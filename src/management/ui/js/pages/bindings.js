// Bindings as a picture and as a list.
import { html, useMemo, useState } from '../ui.js';
import { useCell } from '../cell.js';
import { get } from '../api.js';
import { address, adjust, route } from '../router.js';
import { useLive } from '../live.js';
import { vhost } from '../settings.js';
import { Empty, Panel, Segmented, Waiting } from '../parts.js';
import { ShortSearch, ShortTable } from '../table.js';
import { scoped } from '../frame.js';
import { count } from '../format.js';
import { EndLink, bindingArguments } from './binding_list.js';
import { layOut } from './graph.js';

/** More than this is no picture any more. */
const MOST_DRAWN = 160;

export function Bindings() {
  const chosen = useCell(vhost);
  const { query: asked } = useCell(route);
  const target = scoped('bindings', chosen);
  const { data, error, reload } = useLive((signal) => get(target, { signal }), target);
  const view = asked.view ?? 'graph';
  const tools = html`<${ShortSearch} label="Filter by name or key" /><${Segmented} label="View" options=${[['graph', 'Graph'], ['list', 'List']]} value=${view} onChoose=${(next) => adjust({ view: next })} />`;
  const shown = useMemo(() => (data ?? []).filter(({ source }) => source !== ''), [data]);
  return html`<${Panel} flush tools=${tools}>
    ${!data && html`<div class="body padded"><${Waiting} error=${error} retry=${reload} /></div>`}
    ${data && view === 'graph' && html`<${Graph} bindings=${shown} wanted=${asked.q ?? ''} />`}
    ${data && view === 'list' && html`<${List} bindings=${shown} withVhost=${!chosen} />`}
  <//>`;
}

const none = html`<${Empty} title="No bindings yet">Every queue can be reached through the default exchange by its own name; other ways appear here once an exchange is bound to a queue.<//>`;

function List({ bindings, withVhost }) {
  const columns = [
    { key: 'source', title: 'From exchange', sort: 'source', cls: 'name', cell: (b) => html`<${EndLink} vhost=${b.vhost} name=${b.source} type="exchange" />` },
    { key: 'key', title: 'Routing key', sort: 'routing_key', cls: 'name', cell: (b) => b.routing_key || html`<span class="muted">empty</span>` },
    { key: 'destination', title: 'To', sort: 'destination', cls: 'name', cell: (b) => html`<${EndLink} vhost=${b.vhost} name=${b.destination} type=${b.destination_type} />` },
    { key: 'type', title: 'Kind', sort: 'destination_type', cell: (b) => b.destination_type },
    withVhost && { key: 'vhost', title: 'Virtual host', sort: 'vhost', cell: (b) => b.vhost },
    { key: 'arguments', title: 'Arguments', cls: 'mono', cell: bindingArguments },
  ].filter(Boolean);
  return html`<${ShortTable} label="Bindings" what="bindings" rows=${bindings} columns=${columns} first="source" empty=${none} keyOf=${(b) => `${b.vhost} ${b.source} ${b.destination_type} ${b.destination} ${b.properties_key}`} />`;
}

function Graph({ bindings, wanted }) {
  const [lit, setLit] = useState(null);
  const vhosts = [...new Set(bindings.map((binding) => binding.vhost))];
  const needle = wanted.toLowerCase();
  const found = useMemo(
    () => bindings.filter((b) => !needle || [b.source, b.destination, b.routing_key].some((text) => text.toLowerCase().includes(needle))),
    [bindings, needle],
  );
  if (!bindings.length) return none;
  if (!found.length) return html`<${Empty} title=${`Nothing matches "${wanted}"`} />`;
  if (found.length > MOST_DRAWN) return html`<${Empty} title=${`${count(found.length)} bindings are too many for a picture`}>Filter by a name or a routing key above, or choose a virtual host; up to ${MOST_DRAWN} are drawn. The list has them all.<//>`;
  return html`${vhosts.filter((name) => found.some((b) => b.vhost === name)).map((name) => html`<${VhostGraph} key=${name} name=${name} titled=${vhosts.length > 1} bindings=${found.filter((b) => b.vhost === name)} lit=${lit} onLit=${setLit} />`)}`;
}

function VhostGraph({ name, titled, bindings, lit, onLit }) {
  const graph = useMemo(() => layOut(bindings), [bindings]);
  const near = (edge) => lit === `${name} ${edge.from}` || lit === `${name} ${edge.to}`;
  const any = lit?.startsWith(`${name} `);
  return html`<div class="graph" tabindex="0" role="group" aria-label=${`Bindings of virtual host ${name}`}>
    ${titled && html`<h3 class="graph-title">${name}</h3>`}
    <svg width=${graph.width} height=${graph.height}>
      ${graph.edges.map((edge) => html`<g key=${edge.id} class=${any ? (near(edge) ? 'lit' : 'dim') : ''}><path class="edge" d=${edge.path} /></g>`)}
      ${graph.edges.map((edge) => html`<g key=${`label ${edge.id}`} class=${any && !near(edge) ? 'dim' : ''}>
        <text class="edge-label" x=${edge.label.x} y=${edge.label.y} text-anchor="middle">${shorten(edge.keys.filter(Boolean).join(', '), 22)}<title>${edge.keys.map((key) => key || '(empty key)').join('\n')}</title></text></g>`)}
      ${graph.nodes.map((node) => html`<a key=${node.id} href=${address([node.type === 'queue' ? 'queues' : 'exchanges', name, node.name])} aria-label=${`${node.type} ${node.name}`}
          onMouseEnter=${() => onLit(`${name} ${node.id}`)} onMouseLeave=${() => onLit(null)} onFocus=${() => onLit(`${name} ${node.id}`)} onBlur=${() => onLit(null)}>
        <g class=${`node ${node.type}`} transform=${`translate(${node.x} ${node.y})`}>
          <rect width=${graph.size.width} height=${graph.size.height} rx=${node.type === 'queue' ? 4 : 19} />
          <text class="kind" x="14" y="14">${node.type}</text><text x="14" y="29">${shorten(node.name, 25)}<title>${node.name}</title></text>
        </g></a>`)}
    </svg></div>`;
}

const shorten = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
