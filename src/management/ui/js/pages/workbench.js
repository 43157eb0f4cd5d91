// The dead-letter workbench: look into a queue without consuming, understand what is there, act on it.
import { html, useEffect, useState } from '../ui.js';
import { useCell } from '../cell.js';
import { adjust, route } from '../router.js';
import { useLive } from '../live.js';
import { Empty, Go, Panel, Problem, Waiting } from '../parts.js';
import { count, plural } from '../format.js';
import { filtersOf, jobs, look, summary } from './workbench_api.js';
import { Filters } from './workbench_filters.js';
import { Understanding } from './workbench_summary.js';
import { Inspector, MessageList } from './workbench_messages.js';
import { Acts, JobPanel } from './workbench_acts.js';

export function Workbench({ names: [vhost, queue] }) {
  const { query: asked } = useCell(route);
  const filters = filtersOf(asked);
  const key = JSON.stringify([vhost, queue, filters]);
  const [cursors, setCursors] = useState({ key, trail: [''] });
  const trail = cursors.key === key ? cursors.trail : [''];
  const cursor = trail.at(-1);
  const page = useLive((signal) => look(vhost, queue, filters, cursor, signal), `${key} ${cursor}`);
  const whole = useLive((signal) => summary(vhost, queue, filters, signal), `summary ${key}`);
  const [marked, setMarked] = useState(new Set());
  useEffect(() => setMarked(new Set()), [key]);
  const [running, setRunning] = useState(null);
  useUnfinished(vhost, queue, setRunning);
  const reload = () => {
    page.reload();
    whole.reload();
  };
  if (!page.data) return html`<${Missing} error=${page.error} retry=${page.reload} vhost=${vhost} queue=${queue} />`;
  const messages = page.data.messages;
  const open = messages.find(({ id }) => id === asked.message) ?? null;
  return html`
    <${Problem} error=${page.error} retry=${page.reload} />
    <div class="row spread">
      <span class="muted"><${Go} to=${['queues', vhost, queue]}>${queue}<//> in ${vhost}. Looking changes nothing: no message is taken or marked.</span>
      <${Acts} vhost=${vhost} queue=${queue} filters=${filters} total=${whole.data?.messages ?? null} marked=${marked} done=${reload} onJob=${setRunning} />
    </div>
    ${running && html`<${JobPanel} key=${running.id} id=${running.id} total=${running.total} done=${reload} close=${() => setRunning(null)} />`}
    <${Filters} filters=${filters} />
    <${Understanding} live=${whole} filters=${filters} />
    <div class=${`bench ${open ? 'with-open' : ''}`}>
      <${Panel} flush tools=${html`<${Numbers} page=${page.data} whole=${whole.data} marked=${marked} filtered=${Object.keys(filters).length > 0} />`}>
        ${messages.length
          ? html`<${MessageList} messages=${messages} marked=${marked} onMark=${setMarked} open=${open?.id} />`
          : html`<${Nothing} filters=${filters} page=${page.data} />`}
        <${Turn} trail=${trail} next=${page.data.cursor} onTurn=${(next) => setCursors({ key, trail: next })} />
      <//>
      ${open && html`<${Inspector} key=${open.id} vhost=${vhost} queue=${queue} message=${open} close=${() => adjust({ message: '' })} onJob=${setRunning} />`}
    </div>`;
}

/** Shows a job that was begun here before and hasn't come to its end. */
function useUnfinished(vhost, queue, show) {
  useEffect(() => {
    const abort = new AbortController();
    const find = async () => {
      const all = await jobs(abort.signal);
      const open = all.find((each) => each.vhost === vhost && each.queue === queue && ['running', 'interrupted'].includes(each.status));
      if (open) show((shown) => shown ?? { id: open.id, total: null });
    };
    // Without jobs to tell of, the page is as good.
    find().catch(() => {});
    return () => abort.abort();
  }, [vhost, queue]);
}

function Missing({ error, retry, vhost, queue }) {
  if (error?.status === 404 || error?.status === 406) {
    return html`<${Panel}><${Empty} title="This queue can't be looked into">${error.message}. <${Go} to=${['queues', vhost, queue]}>Its own page<//> may say more.<//><//>`;
  }
  return html`<${Waiting} error=${error} retry=${retry} />`;
}

function Numbers({ page, whole, marked, filtered }) {
  const { unacknowledged, delayed, undelivered_dead_letters: undelivered } = page.counts;
  const aside = [
    unacknowledged && `${count(unacknowledged)} handed out`, delayed && `${count(delayed)} waiting for a retry`, undelivered && `${count(undelivered)} on the way to a dead-letter exchange`,
  ].filter(Boolean);
  return html`<span class="muted" role="status">
    ${marked.size ? html`<b>${count(marked.size)} selected</b> of ` : ''}${whole ? plural(whole.messages, 'message') : 'messages'}${whole && filtered ? ` that match, ${count(page.counts.ready)} in the queue` : ''}${aside.length ? `, besides ${aside.join(' and ')}` : ''}</span>`;
}

function Nothing({ filters, page }) {
  if (Object.keys(filters).length) return html`<${Empty} title="No message matches">The queue has ${plural(page.counts.ready, 'message')}; take a filter away to see more.<//>`;
  return html`<${Empty} title="The queue is empty">${page.counts.unacknowledged ? `${plural(page.counts.unacknowledged, 'message')} with consumers, who have yet to settle them.` : 'Dead letters that arrive appear here.'}<//>`;
}

function Turn({ trail, next, onTurn }) {
  if (trail.length === 1 && !next) return null;
  return html`<nav class="pager" aria-label="Pages"><span class="where">page ${count(trail.length)}</span>
    <button type="button" class="small" data-page="back" disabled=${trail.length === 1} onClick=${() => onTurn(trail.slice(0, -1))}>Previous</button>
    <button type="button" class="small" data-page="on" disabled=${!next} onClick=${() => onTurn([...trail, next])}>Next</button></nav>`;
}
