// Tables: sorted by a click on a column's head, walked with j and k, sorted and cut into pages by the
// broker where there may be thousands of rows.
import { html, useEffect, useRef } from './ui.js';
import { useCell } from './cell.js';
import { get, query } from './api.js';
import { adjust, route } from './router.js';
import { useLive } from './live.js';
import { Empty, Waiting } from './parts.js';
import { count } from './format.js';

const SIZES = [50, 100, 200, 500];
/** Keystrokes closer together than this make one question, in milliseconds. */
const TYPING_PAUSE = 220;

/**
 * `columns`: `[{ key, title, sort, num, cls, cell(row) }]`; `sort` is the field the broker sorts by.
 * `order`: `{ by, reverse }` with `onOrder(by, reverse)`, where the table can be sorted.
 */
export function Table({ label, columns, rows, keyOf, order, onOrder, marked }) {
  return html`<div class="scroll"><table>
    <caption class="visually-hidden">${label}</caption>
    <thead><tr>${columns.map((column) => html`<${Head} key=${column.key} column=${column} order=${order} onOrder=${onOrder} />`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${keyOf(row)} aria-selected=${marked?.(row) ? 'true' : undefined}>
      ${columns.map((column) => {
        const value = column.cell(row);
        const zero = column.num && (value === '0' || value === '0/s') ? ' zero' : '';
        return html`<td key=${column.key} class=${`${column.num ? 'num' : ''} ${column.cls ?? ''}${zero}`}>${value}</td>`;
      })}</tr>`)}</tbody>
  </table></div>`;
}

function Head({ column, order, onOrder }) {
  const { sort, title, num, cls } = column;
  if (!sort || !onOrder) return html`<th scope="col" class=${`${num ? 'num' : ''} ${cls ?? ''}`}>${title}</th>`;
  const on = order.by === sort;
  // Figures are mostly wanted with the greatest first.
  const next = on ? !order.reverse : Boolean(num);
  return html`<th scope="col" class=${num ? 'num' : ''} aria-sort=${on ? (order.reverse ? 'descending' : 'ascending') : undefined}>
    <button type="button" class="sort" onClick=${() => onOrder(sort, next)}>${title}<i>${on ? (order.reverse ? '↓' : '↑') : ''}</i></button></th>`;
}

export function SearchBox({ value, onSearch, label }) {
  const timer = useRef(null);
  const box = useRef(null);
  useEffect(() => {
    // The address was changed by other means, such as the back button.
    if (box.current && document.activeElement !== box.current) box.current.value = value;
  }, [value]);
  const later = (event) => {
    const text = event.currentTarget.value;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onSearch(text), TYPING_PAUSE);
  };
  return html`<input ref=${box} type="search" class="search" data-search aria-label=${label} placeholder=${`${label}  (press /)`} spellcheck="false" defaultValue=${value} onInput=${later} />`;
}

/** A list as long as it may be: the broker filters, sorts and cuts it. `target` has no query. */
export function usePages(target, { sort: first = 'name', reverse: firstReverse = false, columns, extra = {} } = {}) {
  const { query: asked } = useCell(route);
  const order = { by: asked.sort ?? first, reverse: asked.sort ? asked.desc === '1' : firstReverse };
  const page = Math.max(1, Number.parseInt(asked.page, 10) || 1);
  const size = SIZES.includes(Number(asked.size)) ? Number(asked.size) : 100;
  const name = asked.q ?? '';
  const regex = asked.regex === '1';
  // The order by name is the broker's own: unless asked to, it needn't sort all there are.
  const sorted = asked.sort || first !== 'name' ? { sort: order.by, sort_reverse: order.reverse } : {};
  const full = target + query({
    page, page_size: size, name, use_regex: regex, ...sorted, columns: columns?.join(','), pagination: true, ...extra,
  });
  const live = useLive(async (signal) => {
    const answer = await get(full, { signal });
    return Array.isArray(answer)
      ? { items: answer, page: 1, page_count: 1, filtered_count: answer.length, total_count: answer.length }
      : answer;
  }, full);
  // The last page may have gone while it was looked at.
  useEffect(() => {
    if (page > 1 && live.error?.status === 400 && live.error.message.startsWith('Page out of range')) adjust({ page: '' });
  }, [live.error]);
  return { ...live, order, page, size, name, regex, filtered: Boolean(name) };
}

export function ListSearch({ list, label = 'Filter by name' }) {
  return html`<${SearchBox} label=${label} value=${list.name} onSearch=${(q) => adjust({ q, page: '' })} />
    <label class="check" title="Read the filter as a regular expression"><input type="checkbox" checked=${list.regex} onChange=${(event) => adjust({ regex: event.currentTarget.checked ? '1' : '', page: '' })} />Regex</label>`;
}

export function PagedTable({ list, label, columns, keyOf, empty, what = 'rows' }) {
  const { data, error, reload } = list;
  if (!data) return html`<div class="body"><${Waiting} error=${error} retry=${reload} /></div>`;
  if (!data.items.length && list.filtered) {
    return html`<${Empty} title=${`No ${what} match "${list.name}"`}>There are ${count(data.total_count)} in all. <a href="#" onClick=${(event) => { event.preventDefault(); adjust({ q: '', page: '' }); }}>Clear the filter</a><//>`;
  }
  if (!data.items.length) return empty;
  return html`${error && html`<div class="body"><${Waiting} error=${error} retry=${reload} /></div>`}
    <${Table} label=${label} columns=${columns} rows=${data.items} keyOf=${keyOf} order=${list.order}
      onOrder=${(by, reverse) => adjust({ sort: by, desc: reverse ? '1' : '0', page: '' })} />
    <${Pager} list=${list} what=${what} />`;
}

function Pager({ list, what }) {
  const { data, page, size } = list;
  const from = (data.page - 1) * size + 1;
  const till = from + data.items.length - 1;
  const of = data.filtered_count === data.total_count ? count(data.total_count) : `${count(data.filtered_count)} that match, ${count(data.total_count)} in all`;
  const turn = (to) => adjust({ page: to === 1 ? '' : String(to) });
  return html`<nav class="pager" aria-label="Pages">
    <span class="where">${what} ${count(from)} to ${count(till)} of ${of}</span>
    ${data.page_count > 1 && html`
      <button type="button" class="small" disabled=${page <= 1} onClick=${() => turn(1)}>First</button>
      <button type="button" class="small" data-page="back" disabled=${page <= 1} onClick=${() => turn(page - 1)}>Previous</button>
      <span>page ${count(page)} of ${count(data.page_count)}</span>
      <button type="button" class="small" data-page="on" disabled=${page >= data.page_count} onClick=${() => turn(page + 1)}>Next</button>
      <button type="button" class="small" disabled=${page >= data.page_count} onClick=${() => turn(data.page_count)}>Last</button>`}
    <label class="row">rows <select aria-label="Rows a page" onChange=${(event) => adjust({ size: event.currentTarget.value, page: '' })}>
      ${SIZES.map((n) => html`<option value=${n} selected=${n === size}>${n}</option>`)}</select></label>
  </nav>`;
}

/** Reads `a.b.c` of an object, as the API's `sort` does. */
const field = (row, by) => by.split('.').reduce((value, part) => value?.[part], row);

/** A list short enough to be filtered and sorted here. */
export function ShortTable({ label, columns, rows, keyOf, empty, first, reverse = false, what = 'rows' }) {
  const { query: asked } = useCell(route);
  const order = { by: asked.sort ?? first, reverse: asked.sort ? asked.desc === '1' : reverse };
  const wanted = (asked.q ?? '').toLowerCase();
  const found = wanted ? rows.filter((row) => JSON.stringify(row).toLowerCase().includes(wanted)) : rows;
  const compare = (a, b) => (typeof a === 'number' && typeof b === 'number' ? a - b : String(a ?? '').localeCompare(String(b ?? ''), undefined, { numeric: true }));
  const sorted = [...found].sort((a, b) => (order.reverse ? -1 : 1) * compare(field(a, order.by), field(b, order.by)));
  if (!rows.length) return empty;
  if (!sorted.length) return html`<${Empty} title=${`No ${what} match "${asked.q}"`} />`;
  return html`<${Table} label=${label} columns=${columns} rows=${sorted} keyOf=${keyOf} order=${order}
    onOrder=${(by, reverse) => adjust({ sort: by, desc: reverse ? '1' : '0' })} />`;
}

export function ShortSearch({ label = 'Filter' }) {
  const { query: asked } = useCell(route);
  return html`<${SearchBox} label=${label} value=${asked.q ?? ''} onSearch=${(q) => adjust({ q })} />`;
}
