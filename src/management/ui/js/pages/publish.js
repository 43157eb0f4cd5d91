// A form that publishes one message.
import { html } from '../ui.js';
import { exchangeSegment, path, post } from '../api.js';
import { ActionForm, Check, Choice, Field } from '../parts.js';
import { Pairs, usePairs } from '../pairs.js';
import { PROPERTIES } from './common.js';

/** Publishes to `exchange`; with `routingKey` given, always with that one. */
export function PublishForm({ vhost, exchange, routingKey, onDone }) {
  const headers = usePairs();
  async function publish(values) {
    const properties = { delivery_mode: values.persistent ? 2 : 1 };
    for (const [name] of PROPERTIES) {
      if (values[name]) properties[name] = name === 'priority' ? Number(values[name]) : values[name];
    }
    const table = headers.value();
    if (Object.keys(table).length) properties.headers = table;
    const { routed } = await post(`/exchanges${path(vhost, exchangeSegment(exchange))}/publish`, {
      vhost, name: exchange, properties, routing_key: routingKey ?? values.routing_key, payload: values.payload, payload_encoding: values.encoding,
    });
    onDone?.();
    if (!routed) throw new Error('No queue took the message: no binding matches this routing key.');
    return 'Published';
  }
  return html`<${ActionForm} label="Publish message" run=${publish} keep>
    ${routingKey === undefined && html`<${Field} label="Routing key" name="routing_key" />`}
    <${Field} label="Body"><textarea name="payload" spellcheck="false"></textarea><//>
    <div class="fields">
      <${Choice} label="The body above is" name="encoding" options=${[['string', 'text'], ['base64', 'base64']]} />
      ${PROPERTIES.map(([name, label]) => html`<${Field} label=${label} name=${name} type=${name === 'priority' ? 'number' : 'text'} />`)}
    </div>
    <${Check} label="Persistent" name="persistent" defaultChecked />
    <${Pairs} label="Headers" pairs=${headers} id="publish-headers" />
  <//>`;
}
