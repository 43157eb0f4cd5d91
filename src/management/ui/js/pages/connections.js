// Connections of clients: the list, and one.
import { html } from '../ui.js';
import { useCell } from '../cell.js';
import { get, getIfThere, path, query, remove } from '../api.js';
import { go } from '../router.js';
import { useLive } from '../live.js';
import { vhost } from '../settings.js';
import { ActionForm, Empty, Facts, Field, Go, Panel, Problem, Values, Waiting, When, openDialog } from '../parts.js';
import { ListSearch, PagedTable, usePages } from '../table.js';
import { Chart } from '../chart.js';
import { historyQuery, useRange, useSeries } from '../history.js';
import { byteRate, bytes, count } from '../format.js';
import { ForAdministrators } from './common.js';
import { ChannelsTable } from './channels.js';

const FIELDS = [
  'name', 'user_provided_name', 'user', 'vhost', 'state', 'ssl', 'ssl_protocol', 'protocol', 'channels', 'connected_at', 'recv_oct_details.rate', 'send_oct_details.rate', 'client_properties.product', 'client_properties.version',
];
const FLOW = [['recv_oct', 'From client', 's1'], ['send_oct', 'To client', 's2']];
const TONES = { running: 'good', flow: 'warn', blocking: 'warn', blocked: 'bad', closing: 'warn', closed: '' };

export const StateTag = ({ state }) => (state ? html`<span class=${`tag ${TONES[state] ?? ''}`}>${state}</span>` : '–');

export function Connections() {
  const chosen = useCell(vhost);
  const list = usePages(chosen ? `/vhosts${path(chosen)}/connections` : '/connections', { columns: FIELDS });
  const columns = [
    { key: 'name', title: 'Connection', sort: 'name', cls: 'name', cell: (connection) => html`<${Go} to=${['connections', connection.name]}>${connection.user_provided_name ?? connection.name}<//>${connection.user_provided_name && html`<br /><small class="muted">${connection.name}</small>`}` },
    !chosen && { key: 'vhost', title: 'Virtual host', sort: 'vhost', cell: (connection) => connection.vhost },
    { key: 'user', title: 'User', sort: 'user', cell: (connection) => connection.user },
    { key: 'state', title: 'State', sort: 'state', cell: (connection) => html`<${StateTag} state=${connection.state} />` },
    { key: 'tls', title: 'TLS', sort: 'ssl', cell: (connection) => (connection.ssl ? html`<span class="tag good">${connection.ssl_protocol || 'yes'}</span>` : html`<span class="muted">no</span>`) },
    { key: 'client', title: 'Client', cell: ({ client_properties: client }) => [client?.product, client?.version].filter(Boolean).join(' ') || '–' },
    { key: 'channels', title: 'Channels', sort: 'channels', num: true, cell: (connection) => count(connection.channels) },
    { key: 'in', title: 'From client', sort: 'recv_oct_details.rate', num: true, cell: (connection) => byteRate(connection.recv_oct_details?.rate) },
    { key: 'out', title: 'To client', sort: 'send_oct_details.rate', num: true, cell: (connection) => byteRate(connection.send_oct_details?.rate) },
    { key: 'since', title: 'Connected', sort: 'connected_at', cell: (connection) => html`<${When} at=${connection.connected_at} />` },
  ].filter(Boolean);
  return html`<${Panel} flush tools=${html`<${ListSearch} list=${list} />`}>
    <${PagedTable} list=${list} label="Connections" what="connections" columns=${columns} keyOf=${(connection) => connection.name}
      empty=${html`<${Empty} title="Nobody is connected">Clients appear here as soon as they connect by AMQP; the overview says at which addresses.<//>`} /><//>`;
}

export function Connection({ names: [name] }) {
  const target = `/connections${path(name)}`;
  const [seconds, choice] = useRange();
  const { data, error, reload } = useLive(async (signal) => {
    const [connection, channels] = await Promise.all([get(target + query(historyQuery(seconds, ['data_rates'])), { signal }), getIfThere(`${target}/channels`, { signal })]);
    return { connection, channels };
  }, `${target} ${seconds}`);
  const connection = data?.connection;
  const flow = useSeries(connection ?? null, FLOW, 'rate', `${target} ${seconds}`);
  if (!connection) return html`<${Waiting} error=${error} retry=${reload} />`;
  const client = connection.client_properties ?? {};
  const { capabilities, ...properties } = client;
  return html`
    <${Problem} error=${error} retry=${reload} />
    <div class="row spread"><${StateTag} state=${connection.state} /><${Close} name=${name} target=${target} /></div>
    <div class="columns">
      <${Panel} title="Octets a second" tools=${choice}><${Chart} title="Octets a second" lines=${flow} show=${byteRate} seconds=${seconds} /><//>
      <${Panel} title="What it is"><${Facts} of=${[
        ['Name', connection.user_provided_name], ['User', html`<${ForAdministrators} to=${['users', connection.user]}>${connection.user}<//>`], ['Virtual host', connection.vhost], ['Protocol', connection.protocol],
        ['From', connection.peer_host && html`<span class="mono">${connection.peer_host}:${connection.peer_port}</span>`], ['To', connection.host && html`<span class="mono">${connection.host}:${connection.port}</span>`],
        ['Login by', connection.auth_mechanism], ['TLS', connection.ssl ? [connection.ssl_protocol, connection.ssl_cipher].filter(Boolean).join(', ') || 'yes' : 'no'], ['Certificate of', connection.peer_cert_subject],
        ['Connected', html`<${When} at=${connection.connected_at} />`], ['Heartbeat', connection.timeout !== undefined && `${connection.timeout} s`], ['Frame size at most', bytes(connection.frame_max)],
        ['Received', bytes(connection.recv_oct)], ['Sent', bytes(connection.send_oct)],
      ]} /><//>
    </div>
    <${Panel} title="Channels" flush><${ChannelsTable} channels=${data.channels ?? []} /><//>
    <div class="columns">
      <${Panel} title="The client says of itself"><${Values} of=${properties} /><//>
      <${Panel} title="It can"><${Values} of=${capabilities} /><//>
    </div>`;
}

function Close({ name, target }) {
  const ask = () => openDialog('Close this connection?', (close) => html`
    <p>The client is told, and will probably connect again.</p>
    <${ActionForm} danger label="Close connection" onCancel=${close} run=${async ({ reason }) => {
      await remove(target, { headers: { 'X-Reason': reason || 'Closed from the web interface' } });
      close();
      go(['connections']);
      return `${name} was closed`;
    }}><${Field} label="Reason to give" name="reason" placeholder="Closed from the web interface" pattern="[ -~]*" title="ASCII only: it travels in a header" /><//>`);
  return html`<button type="button" class="danger" onClick=${ask}>Close connection</button>`;
}
