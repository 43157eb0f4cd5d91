// Finds the queues where dead letters end, and leads to the workbench.
import { html, useMemo } from '../ui.js';
import { useCell } from '../cell.js';
import { get } from '../api.js';
import { adjust, go, route } from '../router.js';
import { useLive } from '../live.js';
import { vhost } from '../settings.js';
import { ActionForm, Empty, Field, Folded, Go, Panel, Waiting } from '../parts.js';
import { ShortSearch, ShortTable } from '../table.js';
import { scoped } from '../frame.js';
import { compact, count } from '../format.js';
import { VhostChoice } from './common.js';
import { deadLetterQueues } from './dead_letter_ways.js';

const FIELDS = 'name,vhost,arguments,effective_policy_definition,messages_ready,messages_unacknowledged,consumers';

export function DeadLetters() {
  const chosen = useCell(vhost);
  // All queues at once, which is much where there are many: looked at when asked, not all the time.
  const { data, error, reload } = useLive(async (signal) => {
    const [queues, bindings] = await Promise.all([get(`${scoped('queues', chosen)}?columns=${FIELDS}`, { signal }), get(scoped('bindings', chosen), { signal })]);
    return { queues, bindings };
  }, `dead letters ${chosen}`, { once: true });
  const { query: asked } = useCell(route);
  const all = useMemo(() => (data ? deadLetterQueues(data.queues, data.bindings) : []), [data]);
  // A queue that sends its messages on when they expire is a waiting room, not an end.
  const found = asked.all === '1' ? all : all.filter(({ sendsOn }) => !sendsOn);
  if (!data) return html`<${Waiting} error=${error} retry=${reload} what="Following the ways of dead letters" />`;
  const columns = [
    { key: 'name', title: 'Queue', sort: 'queue.name', cls: 'name', cell: ({ queue }) => html`<${Go} to=${['dead-letters', queue.vhost, queue.name]}>${queue.name}<//>` },
    !chosen && { key: 'vhost', title: 'Virtual host', sort: 'queue.vhost', cell: ({ queue }) => queue.vhost },
    { key: 'ready', title: 'Messages', sort: 'queue.messages_ready', num: true, cell: ({ queue }) => compact(queue.messages_ready) },
    { key: 'consumers', title: 'Consumers', sort: 'queue.consumers', num: true, cell: ({ queue }) => count(queue.consumers) },
    { key: 'from', title: 'Dead letters come from', cell: ({ sources }) => html`<span class="tags">${sources.slice(0, 6).map((source) => html`<span class="tag mono">${source}</span>`)}${sources.length > 6 && html`<span class="tag">${sources.length - 6} more</span>`}</span>` },
  ].filter(Boolean);
  return html`
    <${Panel} title="Queues where dead letters end" flush tools=${html`${all.length > found.length || asked.all === '1' ? html`<label class="check"><input type="checkbox" checked=${asked.all === '1'} onChange=${(event) => adjust({ all: event.currentTarget.checked ? '1' : '' })} />also those that send them on</label>` : ''}<${ShortSearch} />`}>
      <${ShortTable} label="Queues where dead letters end" what="queues" rows=${found} columns=${columns} first="queue.messages_ready" reverse keyOf=${({ queue }) => `${queue.vhost} ${queue.name}`}
        empty=${html`<${Empty} title="No queue takes dead letters">Give a queue a dead-letter exchange, by argument <code>x-dead-letter-exchange</code> or by a policy: what is rejected, expires or fails too often is kept there instead of being lost.<//>`} /><//>
    <${Folded} title="Look into any other queue"><${ActionForm} label="Open" run=${(values) => go(['dead-letters', values.vhost, values.name])}>
      <p class="muted">The workbench shows the messages of every queue without consuming them.</p>
      <div class="fields"><${Field} label="Queue" name="name" required /><${VhostChoice} /></div><//><//>`;
}
