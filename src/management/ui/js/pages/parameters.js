// Shovels, and the other parameters that parts of the broker are set up by.
import { html } from '../ui.js';
import { useCell } from '../cell.js';
import { get, getIfThere, path, put, remove, request } from '../api.js';
import { useLive } from '../live.js';
import { hasTag } from '../session.js';
import { vhost } from '../settings.js';
import { ActionButton, ActionForm, Choice, Empty, Field, Folded, Panel, Waiting, When, confirm, openDialog } from '../parts.js';
import { ShortTable, Table } from '../table.js';
import { scoped } from '../frame.js';
import { compact } from '../format.js';
import { VhostChoice } from './common.js';

const TONES = { running: 'good', starting: 'warn', terminated: 'bad', blocked: 'warn' };

export function Parameters() {
  const chosen = useCell(vhost);
  const { data, error, reload } = useLive(async (signal) => {
    const [parameters, globals, shovels] = await Promise.all([get('/parameters', { signal }), getIfThere('/global-parameters', { signal }), getIfThere(scoped('shovels', chosen), { signal })]);
    return { parameters: parameters.filter((each) => !chosen || each.vhost === chosen), globals: globals ?? [], shovels };
  }, `parameters ${chosen}`);
  if (!data) return html`<${Waiting} error=${error} retry=${reload} />`;
  const { parameters, globals, shovels } = data;
  return html`
    <${Shovels} shovels=${shovels} parameters=${parameters.filter(({ component }) => component === 'shovel')} reload=${reload} />
    <${AddShovel} reload=${reload} />
    <${Others} title="Other parameters" rows=${parameters.filter(({ component }) => component !== 'shovel')} reload=${reload} />
    <${Others} title="Global parameters" rows=${globals} global reload=${reload} />`;
}

/** Addresses hold passwords, which aren't for the screen. */
const withoutPassword = (uri) => String(uri ?? '').replace(/^(\w+:\/\/[^:@/]*):[^@/]*@/, '$1:…@');

function end(value, side) {
  const what = value[`${side}-queue`] ?? value[`${side}-exchange`] ?? value[`${side}-address`];
  return `${what === undefined ? '' : `${what} at `}${withoutPassword([value[`${side}-uri`]].flat()[0])}`;
}

/** Messages still to be moved; a shovel without an end has no such number. */
const left = (remaining) => (remaining === 'unlimited' ? 'no end' : compact(remaining));

function Shovels({ shovels, parameters, reload }) {
  const restart = async ({ name, vhost: in_ }) => {
    await request('PUT', `/shovels/vhost${path(in_, name)}/restart`);
    reload();
    return `${name} begins anew`;
  };
  const stateOf = (parameter) => (shovels ?? []).find(({ name, vhost: in_ }) => name === parameter.name && in_ === parameter.vhost);
  const drop = ({ name, vhost: in_ }) => confirm({
    title: `Delete shovel ${name}?`, label: 'Delete shovel', text: 'It stops at once; messages it has not moved stay where they are.',
    run: async () => {
      await remove(`/parameters/shovel${path(in_, name)}`);
      reload();
      return `${name} was deleted`;
    },
  });
  const columns = [
    { key: 'name', title: 'Name', cls: 'name', cell: (shovel) => shovel.name }, { key: 'vhost', title: 'Virtual host', cell: (shovel) => shovel.vhost },
    { key: 'state', title: 'State', cell: (shovel) => {
      const state = stateOf(shovel);
      const now = state?.blocked_status === 'blocked' ? 'blocked' : state?.state;
      return html`<span class=${`tag ${TONES[now] ?? ''}`}>${now ?? 'unknown'}</span>${state?.reason && html`<br /><small class="muted">${state.reason}</small>`}`;
    } },
    { key: 'from', title: 'From', cls: 'name', cell: ({ value }) => end(value, 'src') }, { key: 'to', title: 'To', cls: 'name', cell: ({ value }) => end(value, 'dest') },
    { key: 'moved', title: 'Moved', num: true, cell: (shovel) => compact(stateOf(shovel)?.forwarded) },
    { key: 'left', title: 'Left', num: true, cell: (shovel) => left(stateOf(shovel)?.remaining) },
    { key: 'since', title: 'Since', cell: (shovel) => html`<${When} at=${stateOf(shovel)?.timestamp} />` },
    hasTag('policymaker') && { key: 'acts', title: html`<span class="visually-hidden">Actions</span>`, cls: 'num', cell: (shovel) => html`<${ActionButton} class="plain small" run=${() => restart(shovel)}>Restart<//><button type="button" class="plain small danger" onClick=${() => drop(shovel)}>Delete</button>` },
  ].filter(Boolean);
  return html`<${Panel} title="Shovels" flush>${parameters.length
    ? html`<${Table} label="Shovels" columns=${columns} rows=${parameters} keyOf=${(shovel) => `${shovel.vhost} ${shovel.name}`} />`
    : html`<${Empty} title="No shovels">A shovel moves messages from a queue to another queue or exchange, on this broker or between brokers, and goes on where it stopped.<//>`}<//>`;
}

function AddShovel({ reload }) {
  async function add(values) {
    const value = {
      'src-protocol': 'amqp091', 'src-uri': values.from_uri, 'src-queue': values.from_queue, 'dest-protocol': 'amqp091', 'dest-uri': values.to_uri,
      [values.kind === 'queue' ? 'dest-queue' : 'dest-exchange']: values.to, 'ack-mode': values.ack, 'src-delete-after': values.until,
    };
    if (values.key) value['dest-exchange-key'] = values.key;
    await put(`/parameters/shovel${path(values.vhost, values.name)}`, { value });
    reload();
    return `Shovel ${values.name} was started`;
  }
  return html`<${Folded} title="Add a shovel"><${ActionForm} label="Add shovel" run=${add}>
    <div class="fields"><${Field} label="Name" name="name" required /><${VhostChoice} />
      <${Choice} label="Acknowledge at the source" name="ack" options=${[['on-confirm', 'once the destination confirmed'], ['on-publish', 'once sent'], ['no-ack', 'when taken (may lose messages)']]} />
      <${Choice} label="Ends" name="until" options=${[['never', 'never'], ['queue-length', 'when what is there now was moved']]} /></div>
    <div class="fields"><${Field} label="From address" name="from_uri" required placeholder="amqp://user:password@host/vhost" /><${Field} label="From queue" name="from_queue" required /></div>
    <div class="fields"><${Field} label="To address" name="to_uri" required placeholder="amqp://" /><${Choice} label="To" name="kind" options=${['queue', 'exchange']} /><${Field} label="Name there" name="to" required /><${Field} label="Routing key" name="key" hint="Exchanges only; empty keeps each message's own" /></div>
  <//><//>`;
}

function Others({ title, rows, global, reload }) {
  const target = (each) => (global ? `/global-parameters${path(each.name)}` : `/parameters${path(each.component, each.vhost, each.name)}`);
  const edit = (each) => openDialog(`Edit ${each.name}`, (close) => html`<${ActionForm} label="Save" keep onCancel=${close} run=${async ({ value }) => {
    await put(target(each), { ...each, value: JSON.parse(value) });
    close();
    reload();
    return `${each.name} was set`;
  }}><${Field} label="Value (JSON)"><textarea name="value" spellcheck="false">${JSON.stringify(each.value, null, 2)}</textarea><//><//>`);
  const drop = (each) => confirm({
    title: `Delete ${each.name}?`, label: 'Delete parameter', text: 'The part of the broker that it belongs to stops what it was told by it.',
    run: async () => {
      await remove(target(each));
      reload();
    },
  });
  const columns = [
    !global && { key: 'component', title: 'Component', sort: 'component', cell: (each) => each.component }, !global && { key: 'vhost', title: 'Virtual host', sort: 'vhost', cell: (each) => each.vhost },
    { key: 'name', title: 'Name', sort: 'name', cls: 'name', cell: (each) => each.name }, { key: 'value', title: 'Value', cls: 'name', cell: (each) => JSON.stringify(each.value) },
    hasTag(...(global ? [] : ['policymaker'])) && { key: 'acts', title: html`<span class="visually-hidden">Actions</span>`, cls: 'num', cell: (each) => html`<button type="button" class="plain small" onClick=${() => edit(each)}>Edit</button><button type="button" class="plain small danger" onClick=${() => drop(each)}>Delete</button>` },
  ].filter(Boolean);
  return html`<${Panel} title=${title} flush><${ShortTable} label=${title} what="parameters" rows=${rows} columns=${columns} first="name" keyOf=${(each) => `${each.component} ${each.vhost} ${each.name}`} empty=${html`<${Empty} title="None" />`} /><//>`;
}
