// Acting on messages: send back, drop, export, import. What takes time runs as a job of the broker's.
import { html, useEffect, useState } from '../ui.js';
import { save } from '../api.js';
import { useLive } from '../live.js';
import { ActionButton, ActionForm, Check, Field, Panel, Problem, openDialog } from '../parts.js';
import { Pairs, usePairs } from '../pairs.js';
import { count, plural } from '../format.js';
import { cancel, drop, exported, imported, job, replay, resume } from './workbench_api.js';

export function Acts({ vhost, queue, filters, total, marked, done, onJob }) {
  const some = marked.size > 0;
  const selection = some ? { ids: [...marked] } : { filter: filters };
  const howMany = some ? marked.size : total;
  const what = some ? `${count(marked.size)} selected` : Object.keys(filters).length ? `all that match` : 'all';
  const none = !howMany;
  return html`<div class="row">
    <button type="button" class="primary" disabled=${none} onClick=${() => openReplay({ vhost, queue, selection, count: howMany, onJob })}>Replay ${what} …</button>
    <button type="button" class="danger" disabled=${none} onClick=${() => openDrop({ vhost, queue, selection, count: howMany, onJob })}>Drop ${what} …</button>
    <${ActionButton} disabled=${none} run=${() => exportMessages(vhost, queue, selection)}>Export<//>
    <button type="button" onClick=${() => openImport({ vhost, queue, done })}>Import …</button>
  </div>`;
}

async function exportMessages(vhost, queue, selection) {
  save(await exported(vhost, queue, selection), `${queue.replace(/[^\w.-]+/g, '_')}.ndjson`);
}

function openImport({ vhost, queue, done }) {
  openDialog('Import messages', (close) => html`
    <p>Adds the messages of an export to ${queue}, all of them or none. Those that are there stay.</p>
    <${ActionForm} label="Import" onCancel=${close} keep run=${async ({ file }) => {
      const n = await imported(vhost, queue, file);
      close();
      done();
      return `${plural(n, 'message')} imported`;
    }}><${Field} label="File" name="file" type="file" accept=".ndjson,.jsonl,application/x-ndjson" required hint="One message a line, as the export writes them" /><//>`);
}

/** The API wants it said when all are meant. */
const meant = ({ ids, filter }) => (ids ? { ids } : Object.keys(filter).length ? { filter } : { all: true });

export function openDrop({ vhost, queue, selection, count: howMany, onJob }) {
  openDialog(`Drop ${plural(howMany, 'message')}?`, (close) => html`
    <p>They will be gone for good. Export them first if there is any doubt. The audit log keeps that you did it.</p>
    <${ActionForm} danger label="Drop" onCancel=${close} keep run=${async () => {
      const { id } = await drop(vhost, queue, meant(selection));
      close();
      onJob({ id, total: howMany });
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

function ReplayForm({ vhost, queue, selection, count: howMany, message, onJob, close }) {
  const [where, setWhere] = useState('origin');
  const [preview, setPreview] = useState(null);
  const headers = usePairs();
  const wanted = (values, dryRun) => {
    const body = { ...meant(selection), dry_run: dryRun, skip_replayed: values.skip === 'on' };
    body.to = where === 'elsewhere' ? { exchange: values.exchange, ...(values.routing_key && { routing_key: values.routing_key }) } : where;
    if (values.rate) body.rate = Number(values.rate);
    body.set_headers = headers.value();
    body.remove_headers = values.remove.split(',').map((name) => name.trim()).filter(Boolean);
    if (message && values.payload !== undefined && values.payload !== message.body.text) body.payload = values.payload;
    return body;
  };
  async function run(values) {
    const { id } = await replay(vhost, queue, wanted(values, false));
    close();
    onJob({ id, total: howMany });
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
  const sent = of.targets.reduce((sum, each) => sum + each.count, 0);
  const to = ({ exchange, routing_key: key }) => (exchange ? html`exchange <span class="mono">${exchange}</span> with key <span class="mono">${key}</span>` : html`queue <span class="mono">${key}</span>`);
  return html`<div class="note" role="status"><b>${plural(sent, 'message')} would be sent${of.replayed_before ? `; ${count(of.replayed_before)} of those meant were sent back before` : ''}.</b>
    <ul>${of.targets.map((each) => html`<li><b>${count(each.count)}</b> to ${to(each)} <span class="muted">(${each.why})</span>${each.exchange && html`<br /><span class="muted">from there to ${each.queues.join(', ') || 'no queue: these stay'}</span>`}</li>`)}</ul>
    ${of.problems.map(({ why, count: n }) => html`<div class="problem">${plural(n, 'message')} would stay: ${why}</div>`)}
    ${!of.complete && html`<p class="muted">Only the first ${count(of.examined)} were looked at.</p>`}</div>`;
}

/** Milliseconds between two looks at a job. */
const JOB_PAUSE = 700;
const TITLES = { replay: 'Replay', drop: 'Drop' };

/** How a job goes, till it is over. */
export function JobPanel({ id, total, done, close }) {
  const live = useLive((signal) => job(id, signal), `job ${id}`, { once: true });
  const state = live.data;
  const over = Boolean(state) && state.status !== 'running';
  useEffect(() => {
    if (over) {
      done();
      return undefined;
    }
    const timer = setInterval(live.reload, JOB_PAUSE);
    return () => clearInterval(timer);
  }, [over, id]);
  if (!state) return html`<${Problem} error=${live.error} retry=${live.reload} />`;
  const part = over && state.status === 'done' ? 100 : total ? Math.min(100, (100 * (state.done + state.skipped + state.stayed)) / total) : 0;
  const goOn = async () => {
    await resume(id);
    live.reload();
  };
  const tools = over
    ? html`${state.status !== 'done' && html`<${ActionButton} class="small" run=${goOn}>Go on<//>`}<button type="button" class="small" onClick=${close}>Close</button>`
    : html`<${ActionButton} class="small danger" run=${() => cancel(id)}>Stop<//>`;
  return html`<${Panel} title=${`${TITLES[state.act] ?? state.act}, begun by ${state.user}`} tools=${tools}>
    <div class="stack">
      <div class="progress" role="progressbar" aria-valuenow=${Math.round(part)} aria-valuemin="0" aria-valuemax="100" aria-label="Progress"><div style=${{ width: `${part}%` }}></div></div>
      <div role="status"><span class=${`tag ${state.status === 'done' ? 'good' : over ? 'warn' : ''}`} data-job-state=${state.status}>${state.status}</span> ${count(state.done)}${total ? ` of ${count(total)}` : ''} ${state.act === 'drop' ? 'dropped' : 'sent'}${state.skipped ? `, ${count(state.skipped)} left out as replayed before` : ''}${state.stayed ? `, ${count(state.stayed)} stayed` : ''}</div>
      ${state.failure && html`<div class="problem">${state.failure}</div>`}
      ${state.problems.length > 0 && html`<details><summary>Why messages stayed</summary><ul>${state.problems.map(({ id: message, why }) => html`<li><span class="mono">${message}</span> ${why}</li>`)}</ul></details>`}
    </div><//>`;
}
