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
import { deadLetterWays } from './dead_letter_ways.js';
import { layOut } from './graph.js';

/** More than this is no picture any more. */
const MOST_DRAWN = 160;

export function Bindings() {
  const chosen = useCell(vhost);
  const { query: asked } = useCell(route);
  const view = asked.view ?? 'graph';
  const target = scoped('bindings', chosen);
  const { data, error, reload } = useLive((signal) => get(target, { signal }), target);
  // For the ways of dead letters. All queues at once: not again and again.
  const { data: queues } = useLive((signal) => (view === 'graph' ? get(`${scoped('queues', chosen)}?columns=name,vhost,arguments,effective_policy_definition`, { signal }) : []), `${target} ${view}`, { once: true });
  const tools = html`<${ShortSearch} label="Filter by name or key" /><${Segmented} label="View" options=${[['graph', 'Graph'], ['list', 'List']]} value=${view} onChoose=${(next) => adjust({ view: next })} />`;
  const shown = useMemo(() => (data ?? []).filter(({ source }) => source !== ''), [data]);
  return html`<${Panel} flush tools=${tools}>
    ${!data && html`<div class="body padded"><${Waiting} error=${error} retry=${reload} /></div>`}
    ${data && view === 'graph' && html`<${Graph} bindings=${shown} queues=${queues ?? []} wanted=${asked.q ?? ''} />`}
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

function Graph({ bindings, queues, wanted }) {
  const [lit, setLit] = useState(null);
  const ways = useMemo(() => deadLetterWays(queues), [queues]);
  const needle = wanted.toLowerCase();
  const found = useMemo(
    () => bindings.filter((b) => !needle || [b.source, b.destination, b.routing_key].some((text) => text.toLowerCase().includes(needle))),
    [bindings, needle],
  );
  if (!bindings.length) return none;
  if (!found.length) return html`<${Empty} title=${`Nothing matches "${wanted}"`} />`;
  if (found.length > MOST_DRAWN) return html`<${Empty} title=${`${count(found.length)} bindings are too many for a picture`}>Filter by a name or a routing key above, or choose a virtual host; up to ${MOST_DRAWN} are drawn. The list has them all.<//>`;
  return html`
    <ul class="legend padded"><li><span class="swatch s3"></span>exchange</li><li><span class="swatch s5"></span>queue</li><li><span class="swatch dashes"></span>dead letters</li></ul>
    ${[...Map.groupBy(found, (binding) => binding.vhost)].map(([name, own]) => html`<${VhostGraph} key=${name} name=${name} titled=${vhosts(bindings) > 1} bindings=${own} ways=${ways.filter((way) => way.vhost === name)} lit=${lit} onLit=${setLit} />`)}`;
}

const vhosts = (bindings) => new Set(bindings.map((binding) => binding.vhost)).size;

function VhostGraph({ name, titled, bindings, ways, lit, onLit }) {
  const graph = useMemo(() => {
    const shown = new Set(bindings.filter((b) => b.destination_type === 'queue').map((b) => b.destination));
    return layOut(bindings, ways.filter(({ queue }) => shown.has(queue)));
  }, [bindings, ways]);
  const near = (edge) => lit === `${name} ${edge.from}` || lit === `${name} ${edge.to}`;
  const any = lit?.startsWith(`${name} `);
  return html`<div class="graph" tabindex="0" role="group" aria-label=${`Bindings of virtual host ${name}`}>
    ${titled && html`<h3>${name}</h3>`}
    <svg width=${graph.width} height=${graph.height}>
      ${graph.edges.map((edge) => html`<g key=${edge.id} class=${any ? (near(edge) ? 'lit' : 'dim') : ''}><path class=${`edge ${edge.dead ? 'dead' : ''}`} d=${edge.path} /></g>`)}
      ${graph.edges.map((edge) => html`<g key=${`label ${edge.id}`} class=${any && !near(edge) ? 'dim' : ''}>
        <text class="edge-label" x=${edge.label.x} y=${edge.label.y} text-anchor="end">${shorten(edge.keys.filter(Boolean).join(', '), 20)}<title>${edge.keys.map((key) => key || '(empty key)').join('\n')}</title></text></g>`)}
      ${graph.nodes.map((node) => html`<a key=${node.id} href=${address([node.type === 'queue' ? 'queues' : 'exchanges', name, node.name || 'amq.default'])} aria-label=${`${node.type} ${node.name}`}
          onMouseEnter=${() => onLit(`${name} ${node.id}`)} onMouseLeave=${() => onLit(null)} onFocus=${() => onLit(`${name} ${node.id}`)} onBlur=${() => onLit(null)}>
        <g class=${`node ${node.type}`} transform=${`translate(${node.x} ${node.y})`}>
          <rect width=${graph.size.width} height=${graph.size.height} rx=${node.type === 'queue' ? 4 : 19} />
          <text class="kind" x="14" y="14">${node.type}</text><text x="14" y="29">${shorten(node.name, 25)}<title>${node.name}</title></text>
        </g></a>`)}
    </svg></div>`;
}

const shorten = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
