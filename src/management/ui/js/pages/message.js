// One message as /get answers it: where it came from, its properties, its body.
import { html } from '../ui.js';
import { Facts, Values } from '../parts.js';
import { bytes, time } from '../format.js';
import { usePretty } from './common.js';

export function MessageView({ message }) {
  const { headers, ...properties } = Array.isArray(message.properties) ? {} : message.properties;
  const pretty = usePretty(message.payload_encoding === 'string' ? message.payload : '');
  const facts = Object.entries(properties).map(([name, value]) => [name.replaceAll('_', ' '), name === 'timestamp' ? time(value) : String(value)]);
  return html`<article class="panel"><div class="body stack">
    <${Facts} of=${[['Exchange', message.exchange || '(default exchange)'], ['Routing key', html`<span class="mono">${message.routing_key}</span>`], ['Redelivered', message.redelivered ? 'yes' : 'no'], ['Left in queue', String(message.message_count)], ...facts]} />
    ${headers && html`<h3>Headers</h3><${Values} of=${headers} />`}
    <h3>Body, ${bytes(message.payload_bytes)}${message.payload_encoding === 'base64' ? ', base64' : ''}</h3>
    <pre class="payload">${pretty ?? message.payload}</pre>
  </div></article>`;
}
