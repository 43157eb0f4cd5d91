// What is shown: one field to add a filter by, and the filters there are.
import { html, useState } from '../ui.js';
import { adjust } from '../router.js';
import { FILTERS } from './workbench_api.js';

export function Filters({ filters }) {
  const [kind, setKind] = useState('text');
  const [, , hint] = FILTERS.find(([name]) => name === kind);
  const add = (event) => {
    event.preventDefault();
    const value = new FormData(event.currentTarget).get('value').trim();
    if (!value) return;
    adjust({ [kind]: value, message: '' });
    event.currentTarget.reset();
  };
  const given = FILTERS.filter(([name]) => filters[name]);
  return html`<div class="row filters">
    <form class="row" role="search" onSubmit=${add}>
      <select aria-label="Filter by" onChange=${(event) => setKind(event.currentTarget.value)}>${FILTERS.map(([name, label]) => html`<option value=${name} selected=${name === kind}>${label}</option>`)}</select>
      <input name="value" type="search" class="search" data-search aria-label="Value to filter by" placeholder=${hint ?? 'press /'} spellcheck="false" autocomplete="off" />
      <button>Filter</button>
    </form>
    ${given.map(([name, label]) => html`<button type="button" class="chip" key=${name} title="Take this filter away" onClick=${() => adjust({ [name]: '', message: '' })}>${label}: <b>${filters[name]}</b> ×</button>`)}
    ${given.length > 1 && html`<button type="button" class="plain" onClick=${() => adjust({ ...Object.fromEntries(given.map(([name]) => [name, ''])), message: '' })}>Clear all</button>`}
  </div>`;
}
