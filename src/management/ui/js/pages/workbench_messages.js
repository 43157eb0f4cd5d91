// The messages of a page, and one of them in full.
import { html, useState } from '../ui.js';
import { adjust } from '../router.js';
import { ActionButton, Facts, Go, Panel, Segmented, Values, When } from '../parts.js';
import { brief, bytes, count, plural, since, time } from '../format.js';
import { usePretty } from './common.js';
import { openDrop, openReplay } from './workbench_acts.js';
import { whole } from './workbench_api.js';

const TONES = { rejected: 'bad', expired: 'warn', maxlen: 'warn', delivery_limit: 'bad' };
export const ReasonTag = ({ reason }) => (reason ? html`<span class=${`tag ${TONES[reason] ?? ''}`}>${reason.replace('_', ' ')}</span>` : html`<span class="muted">not dead-lettered</span>`);

export function MessageList({ messages, marked, onMark, open }) {
  const all = messages.every(({ id }) => marked.has(id));
  const mark = (ids, on) => {
    const next = new Set(marked);
    for (const id of ids) on ? next.add(id) : next.delete(id);
    onMark(next);
  };
  return html`<div class="scroll"><table class="messages">
    <caption class="visually-hidden">Messages, in the order in which they would be delivered</caption>
    <thead><tr>
      <th scope="col"><input type="checkbox" aria-label="Select all on this page" checked=${all} onChange=${() => mark(messages.map(({ id }) => id), !all)} /></th>
      <th scope="col">Message</th><th scope="col">Why</th><th scope="col" class="aside">First died in</th><th scope="col">When</th>
    </tr></thead>
    <tbody>${messages.map((message) => html`<tr key=${message.id} aria-selected=${message.id === open ? 'true' : undefined}>
      <td><input type="checkbox" aria-label=${`Select ${nameOf(message)}`} checked=${marked.has(message.id)} onChange=${(event) => mark([message.id], event.currentTarget.checked)} /></td>
      <td class="what"><a href="#" data-message=${message.id} onClick=${(event) => { event.preventDefault(); adjust({ message: message.id === open ? '' : message.id }); }}>${nameOf(message)}</a>
        <div class="glance">${glance(message)}</div></td>
      <td><${ReasonTag} reason=${message.reason} />${message.replayed && html` <span class="tag accent" title=${`Sent back by ${message.replayed.by ?? 'somebody'} ${since(message.replayed.time)}`}>replayed ${message.replayed.count > 1 ? `${message.replayed.count}×` : ''}</span>`}</td>
      <td class="mono aside">${message.first_death_queue ?? '–'}</td>
      <td class="nowrap"><${When} at=${message.time} /></td>
    </tr>`)}</tbody></table></div>`;
}

/** What a message is best told by. */
function nameOf({ properties, routing_key: key, id }) {
  return properties.correlation_id ?? properties.message_id ?? (key ? `${key} #${id}` : `#${id}`);
}

function glance({ body, properties }) {
  if (body.encoding === 'text') return brief(body.text.replace(/\s+/g, ' '), 110);
  return `${properties.content_type ?? 'binary'}, ${bytes(body.bytes)}`;
}

export function Inspector({ vhost, queue, message, close, onJob }) {
  const one = { ids: [message.id] };
  const tools = html`
    <button type="button" class="primary" onClick=${() => openReplay({ vhost, queue, selection: one, count: 1, message, onJob })}>Replay …</button>
    <button type="button" class="danger" onClick=${() => openDrop({ vhost, queue, selection: one, count: 1, onJob })}>Drop …</button>
    <button type="button" aria-label="Close this message" onClick=${close}>Close</button>`;
  const { headers, properties } = message;
  // The history has a place of its own below.
  const own = Object.fromEntries(Object.entries(headers).filter(([name]) => !/^x-(death|first-death-|last-death-|replayed$)/.test(name)));
  return html`<div class="inspector"><${Panel} title=${nameOf(message)} tools=${tools}><div class="stack">
    ${message.replayed && html`<p class="note">This message was sent back before: ${plural(message.replayed.count, 'time')}${message.replayed.by ? `, last by ${message.replayed.by}` : ''}${message.replayed.time ? html`, <${When} at=${message.replayed.time} />` : ''}.</p>`}
    ${Object.entries(message.errors ?? {}).map(([name, value]) => html`<p class="problem"><strong>${name}</strong> ${typeof value === 'string' ? value : JSON.stringify(value)}</p>`)}
    ${message.deaths.length > 0 && html`<h3>What happened to it</h3><${Deaths} vhost=${vhost} message=${message} />`}
    <h3>Body</h3><${Body} vhost=${vhost} queue=${queue} message=${message} type=${properties.content_type} />
    <h3>Properties</h3><${Facts} of=${[
      ['Exchange', message.exchange || '(default exchange)'], ['Routing key', message.routing_key && html`<span class="mono">${message.routing_key}</span>`],
      ...Object.entries(properties).map(([name, value]) => [name.replaceAll('_', ' '), name === 'timestamp' ? time(value) : html`<span class="mono">${String(value)}</span>`]),
      ['Redelivered', message.redelivered ? 'yes' : 'no'], ['Failed deliveries', message.failures ? count(message.failures) : undefined], ['Expires', message.expires_at && html`<${When} at=${message.expires_at} />`],
      ['Waits for a retry until', message.delayed_until && html`<${When} at=${message.delayed_until} />`], ['Place in the queue', html`<span class="mono">${message.id}</span>`],
    ]} />
    <h3>Headers</h3><${Values} of=${own} none="none of its own" />
  </div><//></div>`;
}

/** The x-death history, the last first, in words. */
function Deaths({ vhost, message }) {
  return html`<ol class="deaths">${message.deaths.map((death) => html`<li>
    <${ReasonTag} reason=${death.reason} /> in <${Go} to=${['queues', vhost, death.queue]} class="mono">${death.queue}<//>${death.count > 1 ? `, ${count(death.count)} times` : ''}${death.time ? html`, <${When} at=${death.time} />` : ''}
    <div class="muted small-text">came there by exchange ${death.exchange || '(default)'} with key <span class="mono">${(death.routing_keys ?? []).join(', ') || '(empty)'}</span></div></li>`)}</ol>`;
}

function Body({ vhost, queue, message, type }) {
  const [body, setBody] = useState(message.body);
  const complete = async () => setBody((await whole(vhost, queue, message.id)).body);
  const pretty = usePretty(body.encoding === 'text' ? body.text : '');
  const [view, setView] = useState(null);
  const options = [pretty !== null && ['json', 'JSON'], body.encoding === 'text' && ['text', 'Text'], ['hex', 'Hex']].filter(Boolean);
  const chosen = view ?? options[0][0];
  const shown = { json: () => pretty, text: () => body.text, hex: () => hex(octets(body)) }[chosen]();
  return html`<div class="row spread"><${Segmented} label="Show the body as" options=${options} value=${chosen} onChoose=${setView} />
      <span class="muted small-text">${[type, bytes(body.bytes)].filter(Boolean).join(', ')} ${body.truncated && html`<${ActionButton} class="small" run=${complete}>Show all of it<//>`}</span></div>
    <pre class="payload" tabindex="0">${shown}</pre>`;
}

function octets(body) {
  if (body.encoding === 'text') return new TextEncoder().encode(body.text);
  return Uint8Array.from(atob(body.text), (c) => c.charCodeAt(0));
}

/** As `xxd` writes it: offset, sixteen octets, what of them is printable. */
function hex(all) {
  const lines = [];
  for (let at = 0; at < Math.min(all.length, 4096); at += 16) {
    const row = [...all.slice(at, at + 16)];
    const digits = row.map((octet) => octet.toString(16).padStart(2, '0')).join(' ').padEnd(47);
    const text = row.map((octet) => (octet >= 32 && octet < 127 ? String.fromCharCode(octet) : '.')).join('');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${digits}  ${text}`);
  }
  return lines.join('\n');
}
