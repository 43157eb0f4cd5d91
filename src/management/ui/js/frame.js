// What surrounds every page: the rail of pages, the bar with the settings, alarms that concern all.
import { html, useState } from './ui.js';
import { useCell } from './cell.js';
import { get, getIfThere, path } from './api.js';
import { address, route } from './router.js';
import { end, hasTag, session } from './session.js';
import { pulse, refresh, toggleTheme, vhost } from './settings.js';
import { reloadAll, useLive } from './live.js';
import { help } from './keys.js';
import { count } from './format.js';

export function Mark() {
  return html`<svg viewBox="0 0 32 32" width="30" height="30" aria-hidden="true"><path fill="#e98a4f" d="M1 8.500c6 .6 11 3.600 15 9.500 4-5.900 9-8.900 15-9.500-4.600 2.400-8.200 6-11 11.200L16 29l-4-9.300C9.200 14.500 5.600 10.900 1 8.500z"/></svg>`;
}

/** Pages by group; `tags` are those of which one is needed, `count` reads the overview. */
export const PAGES = [
  ['', [{ to: [], title: 'Overview' }]],
  ['Messages', [
    { to: ['queues'], title: 'Queues', count: 'queues' }, { to: ['exchanges'], title: 'Exchanges', count: 'exchanges' },
    { to: ['bindings'], title: 'Bindings' }, { to: ['dead-letters'], title: 'Dead letters' },
    { to: ['traces'], title: 'Traces', tags: ['monitoring'] },
  ]],
  ['Clients', [
    { to: ['connections'], title: 'Connections', count: 'connections' }, { to: ['channels'], title: 'Channels', count: 'channels' },
    { to: ['consumers'], title: 'Consumers', count: 'consumers' },
  ]],
  ['Rules', [
    { to: ['policies'], title: 'Policies', tags: ['policymaker'] }, { to: ['parameters'], title: 'Shovels and parameters', tags: ['policymaker'] },
  ]],
  ['Administration', [
    { to: ['users'], title: 'Users', tags: ['administrator'] }, { to: ['vhosts'], title: 'Virtual hosts' },
    { to: ['definitions'], title: 'Definitions' }, { to: ['audit'], title: 'Audit log', tags: ['monitoring'] },
  ]],
];

function Rail({ overview }) {
  const { segments } = useCell(route);
  const [open, setOpen] = useState(false);
  const totals = overview?.object_totals ?? {};
  const groups = PAGES.map(([name, pages]) => [name, pages.filter(({ tags }) => !tags || hasTag(...tags))]).filter(([, pages]) => pages.length);
  return html`<div class="rail" data-open=${String(open)}>
    <div class="top">
      <a class="brand" href=${address([])}><${Mark} /><span>Harrier<small title=${overview?.cluster_name}>${overview?.cluster_name ?? ''}</small></span></a>
      <button type="button" class="menu-button small" aria-expanded=${String(open)} onClick=${() => setOpen(!open)}>Menu</button>
    </div>
    <nav aria-label="Pages" onClick=${() => setOpen(false)}>
      ${groups.map(([name, pages]) => html`${name && html`<h2>${name}</h2>`}<ul>
        ${pages.map((page) => html`<li><a href=${address(page.to)} aria-current=${(page.to[0] ?? '') === (segments[0] ?? '') ? 'page' : undefined}>
          ${page.title}${page.count && totals[page.count] !== undefined && html`<span class="count">${count(totals[page.count])}</span>`}</a></li>`)}
      </ul>`)}
    </nav>
    <div class="foot">
      <div>${overview && (overview.harrier_version ? `Harrier ${overview.harrier_version}` : `${overview.product_name} ${overview.product_version}`)}</div>
      <a href="#" onClick=${(event) => { event.preventDefault(); help(); }}>Keyboard <kbd>?</kbd></a>
    </div>
  </div>`;
}

const EVERY = [[2000, 'every 2 s'], [5000, 'every 5 s'], [30_000, 'every 30 s'], [0, 'by hand']];

function Settings() {
  const user = useCell(session).user;
  const every = useCell(refresh);
  const state = useCell(pulse);
  const chosen = useCell(vhost);
  const { data: vhosts } = useLive((signal) => get(`/vhosts?columns=name`, { signal }), 'vhosts', { once: true });
  const shown = every ? state : 'off';
  const said = { on: 'in touch with the broker', off: 'not looking by itself', lost: 'the broker does not answer' }[shown];
  return html`<div class="tools">
    <label><span class="visually-hidden">Virtual host</span><select aria-label="Virtual host" onChange=${(event) => vhost.set(event.currentTarget.value)}>
      <option value="" selected=${chosen === ''}>all virtual hosts</option>
      ${(vhosts ?? []).map(({ name }) => html`<option value=${name} selected=${name === chosen}>${name}</option>`)}</select></label>
    <label class="row"><span class="pulse" data-state=${shown} role="img" aria-label=${said} title=${said}></span>
      <select aria-label="Look again" onChange=${(event) => refresh.set(Number(event.currentTarget.value))}>
        ${EVERY.map(([ms, text]) => html`<option value=${ms} selected=${ms === every}>${text}</option>`)}</select></label>
    <button type="button" class="small" title="Look again now (r)" onClick=${reloadAll}>Refresh</button>
    <button type="button" class="small" title="Dark or light (t)" onClick=${toggleTheme}>Theme</button>
    <button type="button" class="small" title=${`Signed in as ${user?.name}`} onClick=${() => end()}>Sign out ${user?.name}</button>
  </div>`;
}

/** What stops publishers, whatever page one is on. */
function Alarms({ nodes }) {
  const raised = (nodes ?? []).flatMap((node) => [
    node.mem_alarm && [node.name, 'memory', 'Publishers wait until memory is below its limit. Consume or purge, or raise the limit.'],
    node.disk_free_alarm && [node.name, 'disk', 'Publishers wait until there is more free disk space than the limit. Free some, or lower the limit.'],
  ].filter(Boolean));
  return raised.map(([node, what, advice]) => html`<div class="banner" role="alert"><strong>Alarm: ${what} on ${node}.</strong><span>${advice}</span></div>`);
}

export function Frame({ title, crumbs = [], children }) {
  const { data } = useLive(async (signal) => {
    const [overview, nodes] = await Promise.all([
      get('/overview?columns=cluster_name,harrier_version,product_name,product_version,object_totals', { signal }),
      hasTag('monitoring') ? getIfThere('/nodes?columns=name,mem_alarm,disk_free_alarm', { signal }) : [],
    ]);
    return { overview, nodes };
  }, 'frame');
  const lost = useCell(pulse) === 'lost';
  return html`<a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.querySelector('main').focus(); }}>Skip to the page</a>
  <div class="frame">
    <${Rail} overview=${data?.overview} />
    <div class="page">
      ${lost && html`<div class="banner" role="alert"><strong>The broker does not answer.</strong><span>What you see is from the last time it did; this page keeps trying.</span></div>`}
      <${Alarms} nodes=${data?.nodes} />
      <div class="bar">
        <div class="crumbs">${crumbs.map(([text, to]) => html`<a href=${address(to)}>${text}</a><span class="muted" aria-hidden="true">/</span>`)}<h1>${title}</h1></div>
        <${Settings} />
      </div>
      <main id="main" tabindex="-1">${children}</main>
    </div>
  </div>`;
}

/** The lists of one virtual host are below its name. */
export function scoped(kind, chosen) {
  return `/${kind}${chosen ? path(chosen) : ''}`;
}
