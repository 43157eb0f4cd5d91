// An editor for tables of arguments: queue arguments, headers, a policy's definition.
import { html, useState } from './ui.js';

const TYPES = [['auto', 'as typed'], ['text', 'text'], ['number', 'number'], ['boolean', 'true/false'], ['json', 'JSON']];

/** The value that a row means; throws what is wrong with it. */
function meaning({ key, value, type }) {
  const trimmed = value.trim();
  switch (type) {
    case 'text': return value;
    case 'number':
      if (trimmed === '' || Number.isNaN(Number(trimmed))) throw new Error(`${key}: "${value}" is not a number`);
      return Number(trimmed);
    case 'boolean':
      if (trimmed !== 'true' && trimmed !== 'false') throw new Error(`${key}: expected true or false, got "${value}"`);
      return trimmed === 'true';
    case 'json':
      try {
        return JSON.parse(trimmed);
      } catch {
        throw new Error(`${key}: "${value}" is not JSON`);
      }
    default:
      if (trimmed === 'true' || trimmed === 'false') return trimmed === 'true';
      return trimmed !== '' && /^-?\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : value;
  }
}

/** Rows as an object; rows without a name don't count. */
export function pairsToObject(rows) {
  const named = rows.filter(({ key }) => key.trim() !== '');
  return Object.fromEntries(named.map((row) => [row.key.trim(), meaning(row)]));
}

export function objectToPairs(values) {
  return Object.entries(values ?? {}).map(([key, value]) => {
    if (typeof value === 'string') return { key, value, type: 'text' };
    return typeof value === 'object' ? { key, value: JSON.stringify(value), type: 'json' } : { key, value: String(value), type: 'auto' };
  });
}

const BLANK = { key: '', value: '', type: 'auto' };

/** `known`: names to offer, as `[name, what it does]`. */
export function usePairs(initial = []) {
  const [rows, setRows] = useState(initial.length ? initial : [BLANK]);
  return { rows, setRows, reset: () => setRows([BLANK]), value: () => pairsToObject(rows) };
}

export function Pairs({ label, pairs, known = [], id }) {
  const { rows, setRows } = pairs;
  const change = (at, part) => setRows(rows.map((row, i) => (i === at ? { ...row, ...part } : row)));
  return html`<fieldset>
    <legend>${label}</legend>
    <datalist id=${id}>${known.map(([name, text]) => html`<option value=${name}>${text}</option>`)}</datalist>
    <div class="pairs">
      ${rows.map((row, at) => html`<div class="pair" key=${at}>
        <input class="mono" aria-label="Name" placeholder="name" list=${id} autocomplete="off" spellcheck="false" value=${row.key} onInput=${(event) => change(at, { key: event.currentTarget.value })} />
        <input class="mono" aria-label="Value" placeholder="value" autocomplete="off" spellcheck="false" value=${row.value} onInput=${(event) => change(at, { value: event.currentTarget.value })} />
        <select aria-label="Type" onChange=${(event) => change(at, { type: event.currentTarget.value })}>
          ${TYPES.map(([type, text]) => html`<option value=${type} selected=${type === row.type}>${text}</option>`)}
        </select>
        <button type="button" class="plain icon" aria-label=${`Remove ${row.key || 'row'}`} onClick=${() => setRows(rows.length > 1 ? rows.filter((_, i) => i !== at) : [BLANK])}>×</button>
      </div>`)}
    </div>
    <div><button type="button" class="small" onClick=${() => setRows([...rows, BLANK])}>Add a row</button></div>
  </fieldset>`;
}
