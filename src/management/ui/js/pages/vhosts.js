// Virtual hosts: worlds of their own within one broker.
import { html } from '../ui.js';
import { get, getIfThere, path, post, put, remove } from '../api.js';
import { go } from '../router.js';
import { useLive } from '../live.js';
import { hasTag } from '../session.js';
import { vhost as chosenVhost } from '../settings.js';
import { ActionButton, ActionForm, Choice, Empty, Facts, Field, Folded, Go, Panel, Problem, Waiting, confirm } from '../parts.js';
import { ShortSearch, ShortTable, Table } from '../table.js';
import { compact, plural } from '../format.js';
import { ForAdministrators } from './common.js';
import { LimitsPanel } from './limits.js';

const TYPES = [['classic', 'classic'], ['quorum', 'quorum'], ['stream', 'stream']];

export function Vhosts() {
  const { data, error, reload } = useLive((signal) => get('/vhosts', { signal }), 'vhost list');
  if (!data) return html`<${Waiting} error=${error} retry=${reload} />`;
  const columns = [
    { key: 'name', title: 'Name', sort: 'name', cls: 'name', cell: (vhost) => html`<${ForAdministrators} to=${['vhosts', vhost.name]}>${vhost.name}<//>` },
    { key: 'description', title: 'Description', sort: 'description', cell: (vhost) => vhost.description ?? '' },
    { key: 'tags', title: 'Tags', cell: (vhost) => html`<span class="tags">${(vhost.tags ?? []).map((tag) => html`<span class="tag">${tag}</span>`)}${vhost.protected_from_deletion && html`<span class="tag good">protected</span>`}</span>` },
    { key: 'type', title: 'Default queue type', sort: 'default_queue_type', cell: (vhost) => vhost.default_queue_type ?? 'classic' },
    { key: 'ready', title: 'Ready', sort: 'messages_ready', num: true, cell: (vhost) => compact(vhost.messages_ready ?? 0) },
    { key: 'unacked', title: 'Unacked', sort: 'messages_unacknowledged', num: true, cell: (vhost) => compact(vhost.messages_unacknowledged ?? 0) },
    { key: 'state', title: 'State', cell: (vhost) => Object.values(vhost.cluster_state ?? {}).map((state) => html`<span class=${`tag ${state === 'running' ? 'good' : 'bad'}`}>${state}</span>`) },
  ];
  return html`
    <${Panel} flush tools=${html`<${ShortSearch} />`}><${ShortTable} label="Virtual hosts" what="virtual hosts" rows=${data} columns=${columns} first="name" keyOf=${(vhost) => vhost.name}
      empty=${html`<${Empty} title="None that you may see">An administrator can give you permissions in one.<//>`} /><//>
    ${hasTag() && html`<${Folded} title="Add a virtual host"><${VhostForm} onDone=${reload} /><//>`}`;
}

function VhostForm({ vhost, onDone }) {
  async function save(values) {
    const name = vhost?.name ?? values.name;
    await put(`/vhosts${path(name)}`, { description: values.description, tags: values.tags, default_queue_type: values.type });
    onDone();
    return `${name} ${vhost ? 'was changed' : 'is there'}`;
  }
  return html`<${ActionForm} label=${vhost ? 'Save' : 'Add virtual host'} run=${save} keep=${Boolean(vhost)}><div class="fields">
    ${!vhost && html`<${Field} label="Name" name="name" required />`}
    <${Field} label="Description" name="description" defaultValue=${vhost?.description ?? ''} /><${Field} label="Tags, with commas between" name="tags" defaultValue=${(vhost?.tags ?? []).join(',')} />
    <${Choice} label="Default queue type" name="type" options=${TYPES} value=${vhost?.default_queue_type ?? 'classic'} /></div><//>`;
}

export function Vhost({ names: [name] }) {
  const target = `/vhosts${path(name)}`;
  const { data, error, reload } = useLive(async (signal) => {
    const [vhost, permissions, limits] = await Promise.all([
      get(target, { signal }), hasTag() ? get(`${target}/permissions`, { signal }) : [], hasTag() ? getIfThere(`/vhost-limits${path(name)}`, { signal }) : null,
    ]);
    return { vhost, permissions, limits: limits?.[0]?.value ?? {} };
  }, target);
  if (!data) return html`<${Waiting} error=${error} retry=${reload} />`;
  const { vhost, permissions, limits } = data;
  const guarded = vhost.protected_from_deletion;
  const drop = () => confirm({
    title: `Delete virtual host ${name}?`, label: 'Delete virtual host', typed: name, text: `All its queues, exchanges and ${plural(vhost.messages ?? 0, 'message')} go with it, and its connections are closed.`,
    run: async () => {
      await remove(target);
      if (chosenVhost.get() === name) chosenVhost.set('');
      go(['vhosts']);
      return `${name} was deleted`;
    },
  });
  const protect = async () => {
    await (guarded ? remove(`${target}/deletion/protection`) : post(`${target}/deletion/protection`));
    reload();
  };
  const columns = [
    { key: 'user', title: 'User', cls: 'name', cell: (each) => html`<${Go} to=${['users', each.user]}>${each.user}<//>` },
    ...['configure', 'write', 'read'].map((key) => ({ key, title: key, cls: 'name', cell: (each) => each[key] || html`<span class="muted">nothing</span>` })),
  ];
  return html`
    <${Problem} error=${error} retry=${reload} />
    ${hasTag() && html`<div class="row spread"><span>${guarded ? html`<span class="tag good">protected from deletion</span>` : ''}</span><div class="row">
      <${ActionButton} run=${protect}>${guarded ? 'Allow deletion' : 'Protect from deletion'}<//><button type="button" class="danger" disabled=${guarded} onClick=${drop}>Delete</button></div></div>`}
    <div class="columns">
      <${Panel} title="What it is"><${Facts} of=${[['Description', vhost.description], ['Default queue type', vhost.default_queue_type], ['Ready', compact(vhost.messages_ready ?? 0)], ['Unacknowledged', compact(vhost.messages_unacknowledged ?? 0)]]} /><//>
      ${hasTag() && html`<${LimitsPanel} of=${`/vhost-limits${path(name)}`} limits=${limits} known=${[['max-connections', 'Connections at most'], ['max-queues', 'Queues at most']]} reload=${reload} />`}
    </div>
    ${hasTag() && html`<${Panel} title="Who may use it" flush>${permissions.length ? html`<${Table} label="Permissions" columns=${columns} rows=${permissions} keyOf=${(each) => each.user} />` : html`<${Empty} title="Nobody yet">Permissions are given on a user's page.<//>`}<//>
      <${Folded} title="Change"><${VhostForm} vhost=${vhost} onDone=${reload} /><//>`}`;
}
