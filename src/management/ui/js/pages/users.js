// Users: who may come in, what they may do where.
import { html } from '../ui.js';
import { get, getIfThere, path, put, remove } from '../api.js';
import { go } from '../router.js';
import { useLive } from '../live.js';
import { session } from '../session.js';
import { ActionForm, Check, Empty, Facts, Field, Folded, Go, Panel, Problem, Waiting, confirm } from '../parts.js';
import { ShortSearch, ShortTable, Table } from '../table.js';
import { VhostChoice } from './common.js';
import { LimitsPanel } from './limits.js';

const TAGS = [
  ['administrator', 'everything'], ['monitoring', 'see all connections, channels and nodes'], ['policymaker', 'also set policies and parameters'], ['management', 'sign in here, see what is theirs'],
];
const known = TAGS.map(([tag]) => tag);
const listed = (tags) => (Array.isArray(tags) ? tags : String(tags ?? '').split(',').filter(Boolean));

export function Users() {
  const { data, error, reload } = useLive(async (signal) => {
    const [users, permissions] = await Promise.all([get('/users', { signal }), get('/permissions', { signal })]);
    return { users, permissions };
  }, 'users');
  if (!data) return html`<${Waiting} error=${error} retry=${reload} />`;
  const own = (user) => data.permissions.filter((each) => each.user === user.name).map((each) => each.vhost);
  const columns = [
    { key: 'name', title: 'Name', sort: 'name', cls: 'name', cell: (user) => html`<${Go} to=${['users', user.name]}>${user.name}<//>` },
    { key: 'tags', title: 'Tags', cell: (user) => html`<span class="tags">${listed(user.tags).map((tag) => html`<span class=${`tag ${tag === 'administrator' ? 'accent' : ''}`}>${tag}</span>`)}</span>` },
    { key: 'vhosts', title: 'Virtual hosts', cell: (user) => own(user).join(', ') || html`<span class="tag warn">none</span>` },
    { key: 'password', title: 'Password', cell: (user) => (user.password_hash === '' ? html`<span class="muted">none, can't sign in by password</span>` : 'set') },
  ];
  return html`
    <${Panel} flush tools=${html`<${ShortSearch} />`}><${ShortTable} label="Users" what="users" rows=${data.users} columns=${columns} first="name" keyOf=${(user) => user.name} empty=${html`<${Empty} title="No users" />`} /><//>
    <${Folded} title="Add a user"><${UserForm} onDone=${reload} /><//>`;
}

/** Adds a user, or changes the one given; `tags` and password go together in the API. */
function UserForm({ user, onDone }) {
  const others = listed(user?.tags).filter((tag) => !known.includes(tag));
  async function save(values) {
    const name = user?.name ?? values.name;
    const tags = [...known.filter((tag) => values[`tag-${tag}`] === 'on'), ...values.others.split(',').map((tag) => tag.trim()).filter(Boolean)].join(',');
    const secret = values.password
      ? { password: values.password }
      : user && values.without !== 'on' ? { password_hash: user.password_hash, hashing_algorithm: user.hashing_algorithm } : { password_hash: '' };
    await put(`/users${path(name)}`, { ...secret, tags });
    onDone();
    return user ? `${name} was changed` : `${name} was added. Give permissions next: without any, no virtual host opens.`;
  }
  return html`<${ActionForm} label=${user ? 'Save' : 'Add user'} run=${save}>
    <div class="fields">
      ${!user && html`<${Field} label="Name" name="name" required />`}
      <${Field} label="Password" name="password" type="password" autocomplete="new-password" hint=${user ? 'Empty keeps the present one' : 'Empty: no login by password, such as for certificates'} />
    </div>
    ${user && html`<${Check} label="Take the password away" name="without" />`}
    <fieldset><legend>Tags: what the user may do here</legend>
      ${TAGS.map(([tag, text]) => html`<${Check} label=${html`<span><b>${tag}</b> <span class="muted">${text}</span></span>`} name=${`tag-${tag}`} defaultChecked=${listed(user?.tags).includes(tag)} />`)}
    </fieldset>
    <${Field} label="Other tags, with commas between" name="others" defaultValue=${others.join(', ')} />
  <//>`;
}

export function User({ names: [name] }) {
  const target = `/users${path(name)}`;
  const { data, error, reload } = useLive(async (signal) => {
    const [user, permissions, topics, limits] = await Promise.all([
      get(target, { signal }), get(`${target}/permissions`, { signal }), get(`${target}/topic-permissions`, { signal }), getIfThere(`/user-limits${path(name)}`, { signal }),
    ]);
    return { user, permissions, topics, limits: limits?.[0]?.value ?? {} };
  }, target);
  if (!data) return html`<${Waiting} error=${error} retry=${reload} />`;
  const { user, permissions, topics, limits } = data;
  const own = session.get()?.user?.name === name;
  const drop = () => confirm({
    title: `Delete ${name}?`, label: 'Delete user', text: own ? 'That is you: you will be signed out.' : 'Their connections are closed, their permissions go with them.',
    run: async () => {
      await remove(target);
      go(['users']);
      return `${name} was deleted`;
    },
  });
  return html`
    <${Problem} error=${error} retry=${reload} />
    <div class="row spread"><span class="tags">${listed(user.tags).map((tag) => html`<span class="tag accent">${tag}</span>`)}</span><button type="button" class="danger" onClick=${drop}>Delete user</button></div>
    <div class="columns">
      <${Panel} title="Who"><${Facts} of=${[['Name', user.name], ['Password', user.password_hash ? `set, kept as ${String(user.hashing_algorithm).replace('rabbit_password_hashing_', '')}` : 'none']]} /><//>
      <${LimitsPanel} of=${`/user-limits${path(name)}`} limits=${limits} known=${[['max-connections', 'Connections at most'], ['max-channels', 'Channels at most']]} reload=${reload} />
    </div>
    <${Permissions} user=${name} permissions=${permissions} reload=${reload} />
    <${TopicPermissions} user=${name} topics=${topics} reload=${reload} />
    <${Folded} title="Change password or tags"><${UserForm} key=${JSON.stringify(user.tags)} user=${user} onDone=${reload} /><//>`;
}

function Permissions({ user, permissions, reload }) {
  const drop = (each) => confirm({
    title: 'Take these permissions away?', label: 'Take away', text: `${user} can no longer open ${each.vhost}.`,
    run: async () => {
      await remove(`/permissions${path(each.vhost, user)}`);
      reload();
    },
  });
  async function grant({ vhost, configure, write, read }) {
    await put(`/permissions${path(vhost, user)}`, { configure, write, read });
    reload();
    return `Permissions in ${vhost} set`;
  }
  const columns = [
    { key: 'vhost', title: 'Virtual host', cell: (each) => each.vhost }, ...['configure', 'write', 'read'].map((key) => ({ key, title: key, cls: 'name', cell: (each) => each[key] || html`<span class="muted">nothing</span>` })),
    { key: 'acts', title: html`<span class="visually-hidden">Actions</span>`, cls: 'num', cell: (each) => html`<button type="button" class="plain small danger" onClick=${() => drop(each)}>Take away</button>` },
  ];
  return html`<${Panel} title="Permissions" flush>
    ${permissions.length ? html`<${Table} label="Permissions" columns=${columns} rows=${permissions} keyOf=${(each) => each.vhost} />` : html`<${Empty} title="None">Without permissions in a virtual host, ${user} can't open it.<//>`}
    <details><summary>Set permissions</summary><div class="body padded"><${ActionForm} label="Set" run=${grant} keep><div class="fields"><${VhostChoice} />
      ${[['configure', 'declare and delete'], ['write', 'publish, bind'], ['read', 'consume, get, purge']].map(([key, hint]) => html`<${Field} label=${key} name=${key} defaultValue=".*" hint=${`${hint}: a regular expression on names`} />`)}
    </div><//></div></details><//>`;
}

function TopicPermissions({ user, topics, reload }) {
  async function grant({ vhost, exchange, write, read }) {
    await put(`/topic-permissions${path(vhost, user)}`, { exchange, write, read });
    reload();
    return 'Topic permissions set';
  }
  const drop = async (each) => {
    await remove(`/topic-permissions${path(each.vhost, user, each.exchange)}`);
    reload();
  };
  const columns = [
    { key: 'vhost', title: 'Virtual host', cell: (each) => each.vhost }, ...['exchange', 'write', 'read'].map((key) => ({ key, title: key, cls: 'name', cell: (each) => each[key] })),
    { key: 'acts', title: html`<span class="visually-hidden">Actions</span>`, cls: 'num', cell: (each) => html`<button type="button" class="plain small danger" onClick=${() => drop(each)}>Take away</button>` },
  ];
  return html`<${Panel} title="Topic permissions" flush>
    ${topics.length ? html`<${Table} label="Topic permissions" columns=${columns} rows=${topics} keyOf=${(each) => `${each.vhost} ${each.exchange}`} />` : html`<${Empty} title="None">Every routing key is allowed on topic exchanges that ${user} may write to.<//>`}
    <details><summary>Set topic permissions</summary><div class="body padded"><${ActionForm} label="Set" run=${grant} keep><div class="fields"><${VhostChoice} /><${Field} label="Exchange" name="exchange" required />
      <${Field} label="write" name="write" defaultValue=".*" hint="Routing keys to publish with" /><${Field} label="read" name="read" defaultValue=".*" hint="Routing keys to bind with" /></div><//></div></details><//>`;
}
