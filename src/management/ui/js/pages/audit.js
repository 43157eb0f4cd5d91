// Who did what, and when.
import { html } from '../ui.js';
import { getIfThere } from '../api.js';
import { useLive } from '../live.js';
import { Empty, Panel, Waiting, When } from '../parts.js';
import { ShortSearch, ShortTable } from '../table.js';
import { brief, count } from '../format.js';

/** Acts that are shown, the latest. */
const MOST = 500;
const TONES = { done: 'good', started: '', cancelled: 'warn' };

export function Audit() {
  const { data, error, reload } = useLive(async (signal) => ({ acts: await getIfThere(`/harrier/audit?limit=${MOST}`, { signal }) }), 'audit');
  if (!data) return html`<${Waiting} error=${error} retry=${reload} />`;
  if (!data.acts) return html`<${Panel}><${Empty} title="No audit log">This broker keeps none.<//><//>`;
  const columns = [
    { key: 'time', title: 'When', sort: 'time', cls: 'nowrap', cell: (act) => html`<${When} at=${act.time} />` },
    { key: 'user', title: 'Who', sort: 'user', cell: (act) => act.user },
    { key: 'from', title: 'From', sort: 'from', cls: 'mono', cell: (act) => act.from },
    { key: 'act', title: 'What', sort: 'act', cell: (act) => act.act },
    { key: 'about', title: 'Of what', cell: ({ about }) => html`<span class="tags">${Object.entries(about ?? {}).map(([name, value]) => html`<span class="tag" title=${brief(value, 2000)}>${name}: ${brief(value, 60)}</span>`)}</span>` },
    { key: 'count', title: 'How many', sort: 'count', num: true, cell: (act) => (act.count === undefined ? '' : count(act.count)) },
    { key: 'outcome', title: 'Outcome', sort: 'outcome', cell: (act) => html`<span class=${`tag ${TONES[act.outcome] ?? 'bad'}`}>${act.outcome}</span>` },
  ];
  // Two acts may be alike: what tells them apart is their place, counted from the oldest.
  const rows = data.acts.map((act, at) => ({ ...act, place: data.acts.length - at }));
  return html`<${Panel} flush tools=${html`<${ShortSearch} />`}><${ShortTable} label="Audit log" what="acts" rows=${rows} columns=${columns} first="time" reverse keyOf=${(act) => act.place}
    empty=${html`<${Empty} title="Nothing yet">Acts that change the broker, such as sending dead letters back, are listed here.<//>`} /><//>`;
}
