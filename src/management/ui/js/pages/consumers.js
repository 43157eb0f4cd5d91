// Who takes messages, from which queue.
import { html } from '../ui.js';
import { useCell } from '../cell.js';
import { useGet } from '../live.js';
import { vhost } from '../settings.js';
import { Panel, Waiting } from '../parts.js';
import { ShortSearch } from '../table.js';
import { scoped } from '../frame.js';
import { ConsumersTable } from './common.js';

export function Consumers() {
  const { data, error, reload } = useGet(scoped('consumers', useCell(vhost)));
  return html`<${Panel} flush tools=${html`<${ShortSearch} />`}>
    ${data ? html`<${ConsumersTable} consumers=${data} />` : html`<div class="body padded"><${Waiting} error=${error} retry=${reload} /></div>`}<//>`;
}
