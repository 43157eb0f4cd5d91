// Limits of a user or a virtual host.
import { html } from '../ui.js';
import { path, put, remove } from '../api.js';
import { ActionForm, Field, Panel } from '../parts.js';

/** `known`: `[[name, label], …]`; an empty field takes the limit away. */
export function LimitsPanel({ of, limits, known, reload }) {
  async function save(values) {
    for (const [name] of known) {
      const before = limits[name] ?? '';
      if (values[name] === String(before)) continue;
      if (values[name] === '') await remove(of + path(name));
      else await put(of + path(name), { value: Number(values[name]) });
    }
    reload();
    return 'Limits set';
  }
  return html`<${Panel} title="Limits"><${ActionForm} label="Set limits" run=${save} keep key=${JSON.stringify(limits)}>
    <div class="fields">${known.map(([name, label]) => html`<${Field} label=${label} name=${name} type="number" min="-1" defaultValue=${limits[name] ?? ''} placeholder="no limit" />`)}</div><//><//>`;
}
