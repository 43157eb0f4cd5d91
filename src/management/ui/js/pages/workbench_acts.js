// Acting on messages: send back, drop, export, import. What takes time runs as a job of the broker's.
import { html, useEffect, useState } from '../ui.js';
import { query, request, save } from '../api.js';
import { useLive } from '../live.js';
import { ActionButton, ActionForm, Check, Field, Panel, Problem, openDialog } from '../parts.js';
import { Pairs, usePairs } from '../pairs.js';
import { count, plural } from '../format.js';
import { base, cancel, drop, job, replay } from './workbench_api.js';

export function Acts({ vhost, queue, filters, total, marked, done, onJob }) {
  const some = marked.size > 0;
  const selection = some ? { ids: [...marked] } : { filter: filters };
  const howMany = some ? marked.size : total;
  const what = some ? `${count(marked.size)} selected` : Object.keys(filters).length ? `all that match` : 'all';
  const none = !howMany;
  return html`<div class="row">
    <button type="button" class="primary" disabled=${none} onClick=${() => openReplay({ vhost, queue, selection, count: howMany, done, onJob })}>Replay ${what} …</button>
    <button type="button" class="danger" disabled=${none} onClick=${() => openDrop({ vhost, queue, selection, count: howMany, done, onJob })}>Drop ${what} …</button>
    <${ActionButton} disabled=${none} run=${() => exportMessages(vhost, queue, selection)}>Export<//>
    <button type="button" onClick=${() => openImport({ vhost, queue, done })}>Import …</button>
  </div>`;
}

async function exportMessages(vhost, queue, { ids, filter }) {
  const response = await request('GET', `${base(vhost, queue)}/export${query(ids ? { ids: ids.join(',') } : filter)}`, { headers: { Accept: 'application/x-ndjson, application/json' } });
  save(await response.blob(), `${queue.replace(/[^\w.-]+/g, '_')}.ndjson`);
}

function openImport({ vhost, queue, done }) {
  openDialog('Import messages', (close) => html`
    <p>Publishes the messages of an export to ${queue}. Those that are there stay.</p>
    <${ActionForm} label="Import" onCancel=${close} keep run=${async ({ file }) => {
      const response = await request('POST', `${base(vhost, queue)}/import`, { body: file, type: 'application/x-ndjson' });
      const said = await response.json().catch(() => ({}));
      close();
      done();
      return said.imported === undefined ? 'Imported' : `${plural(said.imported, 'message')} imported`;
    }}><${Field} label="File" name="file" type="file" accept=".ndjson,.jsonl,application/x-ndjson" required hint="One message a line, as the export writes them" /><//>`);
}

export function openDrop({ vhost, queue, selection, count: howMany, done, onJob }) {
  openDialog(`Drop ${plural(howMany, 'message')}?`, (close) => html`
    <p>They will be gone for good. Export them first if there is any doubt. The audit log keeps that you did it.</p>
    <${ActionForm} danger label="Drop" onCancel=${close} keep run=${async () => {
      const answer = await drop(vhost, queue, selection);
      close();
      if (answer.job) onJob(answer.job);
      done();
      return answer.job ? undefined : `${plural(answer.dropped ?? howMany, 'message')} dropped`;
    }} />`);
}

export function openReplay(act) {
  openDialog(`Replay ${plural(act.count, 'message')}`, (close) => html`<${ReplayForm} ...${act} close=${close} />`, { wide: true });
}

const WAYS = [
  ['origin', 'To the queue where each died first, alone'],
  ['origin-exchange', 'To the exchange where each was published at first: all queues bound there get it again'],
  ['elsewhere', 'Elsewhere'],
];

function ReplayForm({ vhost, queue, selection, message, done, onJob, close }) {
  const [where, setWhere] = useState('origin');
  const [preview, setPreview] = useState(null);
  const headers = usePairs();
  const wanted = (values, dryRun) => {
    const body = { ...selection, dry_run: dryRun, skip_replayed: values.skip === 'on' };
    body.to = where === 'elsewhere' ? { exchange: values.exchange, ...(values.routing_key && { routing_key: values.routing_key }) } : where;
    if (values.rate) body.rate = Number(values.rate);
    body.set_headers = headers.value();
    body.remove_headers = values.remove.split(',').map((name) => name.trim()).filter(Boolean);
    if (message && values.payload !== undefined && values.payload !== message.body.text) body.payload = values.payload;
    return body;
  };
  async function run(values) {
    const answer = await replay(vhost, queue, wanted(values, false));
    close();
    if (answer.job) onJob(answer.job);
    done();
  }
  const tryOut = async (event) => setPreview(await replay(vhost, queue, wanted(Object.fromEntries(new FormData(event)), true)));
  return html`<${ActionForm} label="Replay" run=${run} keep onCancel=${close} extra=${html`<${DryRun} run=${tryOut} />`}>
    <fieldset><legend>Where to</legend>
      ${WAYS.map(([way, text]) => html`<label class="check"><input type="radio" name="where" value=${way} checked=${where === way} onChange=${() => setWhere(way)} />${text}</label>`)}
    </fieldset>
    ${where === 'elsewhere' && html`<div class="fields"><${Field} label="Exchange" name="exchange" hint="Empty: the default one, with a queue's name as key" /><${Field} label="Routing key" name="routing_key" hint="Empty: the one each had at first" /></div>`}
    ${message?.body.encoding === 'text' && !message.body.truncated && html`<details><summary>Correct the body first</summary><div class="padded"><textarea name="payload" aria-label="Body" spellcheck="false">${message.body.text}</textarea></div></details>`}
    <div class="fields">
      <${Field} label="At most, messages a second" name="rate" type="number" min="1" placeholder="no limit" />
      <${Field} label="Headers to take away" name="remove" placeholder="x-error, attempt" />
    </div>
    <${Pairs} label="Headers to set" pairs=${headers} id="replay-headers" />
    <${Check} label="Leave those that were replayed before" name="skip" />
    ${preview && html`<${Preview} of=${preview} />`}
  <//>`;
}

/** Asks what would be done, with the form as it is. */
function DryRun({ run }) {
  const [error, setError] = useState(null);
  const ask = async (event) => {
    setError(null);
    try {
      await run(event.currentTarget.form);
    } catch (failed) {
      setError(failed);
    }
  };
  return html`<${Problem} error=${error} /><button type="button" onClick=${ask}>Try without sending</button>`;
}

function Preview({ of }) {
  return html`<div class="note" role="status"><b>${plural(of.would_send ?? 0, 'message')} would be sent${of.already_replayed ? `, ${count(of.already_replayed)} of them a second time` : ''}.</b>
    <ul>${(of.destinations ?? []).map((each) => html`<li><b>${count(each.count)}</b> to exchange <span class="mono">${each.exchange || '(default)'}</span> with key <span class="mono">${each.routing_key}</span>${each.why ? html` <span class="muted">(${each.why})</span>` : ''}</li>`)}</ul>
    ${(of.problems ?? []).map((text) => html`<div class="problem">${text}</div>`)}</div>`;
}

/** How a job goes, till it is over. */
export function JobPanel({ id, done, close }) {
  const live = useLive((signal) => job(id, signal), `job ${id}`, { once: true });
  const state = live.data;
  const over = Boolean(state) && !['running', 'queued', 'starting'].includes(state.state);
  useEffect(() => {
    if (over) {
      done();
      return undefined;
    }
    const timer = setInterval(live.reload, 700);
    return () => clearInterval(timer);
  }, [over, id]);
  if (!state) return html`<${Problem} error=${live.error} retry=${live.reload} />`;
  const part = state.total ? Math.min(100, (100 * state.processed) / state.total) : over ? 100 : 0;
  return html`<${Panel} title=${state.title} tools=${over ? html`<button type="button" class="small" onClick=${close}>Close</button>` : html`<${ActionButton} class="small danger" run=${() => cancel(id)}>Stop<//>`}>
    <div class="stack">
      <div class="progress" role="progressbar" aria-valuenow=${Math.round(part)} aria-valuemin="0" aria-valuemax="100" aria-label="Progress"><div style=${{ width: `${part}%` }}></div></div>
      <div role="status"><span class=${`tag ${state.state === 'done' ? 'good' : over ? 'warn' : ''}`} data-job-state=${state.state}>${state.state}</span> ${count(state.processed)}${state.total ? ` of ${count(state.total)}` : ''}${state.outcomes.map(([what, n]) => `, ${count(n)} ${what}`)}</div>
      ${state.error && html`<div class="problem">${state.error}</div>`}
    </div><//>`;
}
