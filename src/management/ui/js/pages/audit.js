// Who did what, and when.
import { html } from '../ui.js';
import { getIfThere } from '../api.js';
import { useLive } from '../live.js';
import { Empty, Panel, Waiting, When } from '../parts.js';
import { ShortSearch, ShortTable } from '../table.js';
import { brief } from '../format.js';

/** Fields that have a column of their own. */
const SHOWN = ['at', 'time', 'timestamp', 'who', 'user', 'actor', 'from', 'what', 'act', 'action', 'outcome', 'result'];

/** A record has no name of its own: its place in the log. */
const ROW = Symbol('row');

export function Audit() {
  const { data, error, reload } = useLive(async (signal) => {
    const answer = await getIfThere('/harrier/audit', { signal });
    return { records: answer === null ? null : (answer.records ?? answer.items ?? answer) };
  }, 'audit');
  if (!data) return html`<${Waiting} error=${error} retry=${reload} />`;
  if (!data.records) return html`<${Panel}><${Empty} title="No audit log">This broker keeps none, or you may not read it.<//><//>`;
  const columns = [
    { key: 'at', title: 'When', sort: 'at', cls: 'nowrap', cell: (record) => html`<${When} at=${record.at ?? record.time ?? record.timestamp} />` },
    { key: 'who', title: 'Who', sort: 'who', cell: (record) => record.who ?? record.user ?? record.actor },
    { key: 'from', title: 'From', sort: 'from', cls: 'mono', cell: (record) => record.from ?? '' },
    { key: 'what', title: 'What', sort: 'what', cls: 'mono', cell: (record) => record.what ?? record.act ?? record.action },
    { key: 'rest', title: 'Of what', cell: (record) => html`<span class="tags">${Object.entries(record).filter(([name, value]) => !SHOWN.includes(name) && value !== null && value !== '').map(([name, value]) => html`<span class="tag">${name}: ${brief(value, 80)}</span>`)}</span>` },
    { key: 'outcome', title: 'Outcome', cell: (record) => html`<span class=${`tag ${/fail|refus|denied|error/i.test(JSON.stringify(record.outcome ?? record.result ?? '')) ? 'bad' : 'good'}`}>${brief(record.outcome ?? record.result ?? 'done', 60)}</span>` },
  ];
  const rows = data.records.map((record, at) => ({ ...record, at: record.at ?? record.time ?? record.timestamp, [ROW]: at })).reverse();
  return html`<${Panel} flush tools=${html`<${ShortSearch} />`}><${ShortTable} label="Audit log" what="records" rows=${rows} columns=${columns} keyOf=${(record) => record[ROW]}
    empty=${html`<${Empty} title="Nothing yet">Acts that change the broker, such as deleting a queue or sending dead letters back, are listed here.<//>`} /><//>`;
}
