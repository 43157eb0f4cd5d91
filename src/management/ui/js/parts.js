// The small things that pages are made of.
import { html, useRef, useState } from './ui.js';
import { Cell, useCell } from './cell.js';
import { address } from './router.js';
import { since, timeWithZone } from './format.js';

// --- what is said in passing -------------------------------------------------

const toasts = new Cell([]);
// More would cover the page.
const TOASTS_MAX = 3;

/** Says that something was done; goes by itself. */
export function toast(text) {
  const said = { text };
  toasts.set([...toasts.get(), said].slice(-TOASTS_MAX));
  setTimeout(() => toasts.set(toasts.get().filter((other) => other !== said)), 5000);
}

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${useCell(toasts).map(({ text }) => html`<div class="toast">${text}</div>`)}
  </div>`;
}

// --- blocks --------------------------------------------------------------------

export function Panel({ title, tools, flush, children, id }) {
  return html`<section class="panel" id=${id}>
    ${(title || tools) && html`<header class=${title ? '' : 'only-tools'}>${title && html`<h2>${title}</h2>`}${tools}</header>`}
    <div class=${`body${flush ? ' flush' : ''}`}>${children}</div>
  </section>`;
}

export function Folded({ title, open, children, id }) {
  return html`<details class="panel" open=${open} id=${id}>
    <summary>${title}</summary>
    <div class="body">${children}</div>
  </details>`;
}

export function Empty({ title, children }) {
  return html`<div class="empty"><strong>${title}</strong>${children && html`<p>${children}</p>`}</div>`;
}

export function Problem({ error, retry }) {
  if (!error) return null;
  const what = error.status ? `${error.status}` : 'Failed';
  return html`<div class="problem" role="alert"><strong>${what}:</strong> ${error.message}
    ${retry && html` <button class="plain" onClick=${retry}>Try again</button>`}</div>`;
}

/** What stands in the place of data that aren't there (yet). */
export function Waiting({ error, retry, what = 'Asking the broker' }) {
  if (error?.status === 404) return html`<${Empty} title="Not here">${error.message}<//>`;
  return error ? html`<${Problem} error=${error} retry=${retry} />` : html`<p class="muted" aria-busy="true">${what} …</p>`;
}

export function Facts({ of }) {
  const known = of.filter(([, value]) => value !== undefined && value !== null && value !== '');
  return html`<dl class="facts">${known.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

export function When({ at }) {
  return at ? html`<time title=${timeWithZone(at)}>${since(at)}</time>` : html`<span class="muted">–</span>`;
}

export function Go({ to, query, children, ...rest }) {
  return html`<a href=${address(to, query)} ...${rest}>${children}</a>`;
}

/** Arguments, a policy's definition, client properties: any object, as rows. */
export function Values({ of, none = 'none' }) {
  const entries = Object.entries(of ?? {});
  if (!entries.length) return html`<span class="muted">${none}</span>`;
  const text = (value) => (typeof value === 'string' ? value : JSON.stringify(value));
  return html`<dl class="facts">${entries.map(([name, value]) => html`<dt class="mono">${name}</dt><dd class="mono">${text(value)}</dd>`)}</dl>`;
}

export function Segmented({ label, options, value, onChoose }) {
  return html`<div class="segmented" role="group" aria-label=${label}>
    ${options.map(([key, text]) => html`<button type="button" key=${key} aria-pressed=${String(key === value)} onClick=${() => onChoose(key)}>${text}</button>`)}
  </div>`;
}

export function Meter({ value, most, text, high }) {
  const part = most > 0 ? Math.min(100, (100 * value) / most) : 0;
  return html`<div class=${`meter${high ? ' high' : ''}`}>
    <span>${text}</span>
    <div class="track"><div class="fill" style=${{ width: `${part}%` }}></div></div>
  </div>`;
}

// --- forms -----------------------------------------------------------------------

export function Field({ label, hint, children, ...input }) {
  return html`<label class="field"><span>${label}</span>
    ${children ?? html`<input autocomplete="off" spellcheck="false" ...${input} />`}
    ${hint && html`<small>${hint}</small>`}</label>`;
}

/** `value` is chosen at first. The element doesn't get it: drawn again, it would undo what was chosen since. */
export function Choice({ label, hint, options, value: first, ...select }) {
  return html`<${Field} label=${label} hint=${hint}>
    <select ...${select}>${options.map((option) => {
      const [value, text] = Array.isArray(option) ? option : [option, option];
      return html`<option value=${value} selected=${first === value}>${text}</option>`;
    })}</select><//>`;
}

export function Check({ label, ...input }) {
  return html`<label class="check"><input type="checkbox" ...${input} />${label}</label>`;
}

/**
 * A form that does one thing. `run(values, form)` gets the fields by name; what it returns is said in
 * passing, what it throws is shown above the button.
 */
export function ActionForm({ run, label, danger, children, extra, keep, onCancel }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  async function submit(event) {
    event.preventDefault();
    const form = event.currentTarget;
    setBusy(true);
    setError(null);
    try {
      const said = await run(Object.fromEntries(new FormData(form)), form);
      if (typeof said === 'string') toast(said);
      if (!keep) form.reset();
    } catch (failed) {
      setError(failed);
    }
    setBusy(false);
  }
  return html`<form class="stack" onSubmit=${submit}>
    ${children}
    <${Problem} error=${error} />
    <div class="actions">${extra}
      ${onCancel && html`<button type="button" onClick=${onCancel}>Cancel</button>`}
      <button class=${danger ? 'danger solid' : 'primary'} disabled=${busy}>${busy ? 'Working …' : label}</button>
    </div>
  </form>`;
}

/** A button that does one thing at once, and says beside itself why it couldn't. */
export function ActionButton({ run, children, ...rest }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  async function click() {
    setBusy(true);
    setError(null);
    try {
      const said = await run();
      if (typeof said === 'string') toast(said);
    } catch (failed) {
      setError(failed);
    }
    setBusy(false);
  }
  return html`<button type="button" disabled=${busy} onClick=${click} ...${rest}>${children}</button>
    ${error && html`<span class="problem" role="alert">${error.message}</span>`}`;
}

// --- dialogs -----------------------------------------------------------------------

const asked = new Cell(null);

/** Puts a dialog on the screen; `content(close)` draws what is in it. */
export function openDialog(title, content, { wide = false } = {}) {
  asked.set({ title, content, wide });
}

export function closeDialog() {
  asked.set(null);
}

/** Asks before something that can't be taken back. `typed`: a name that must be typed out first. */
export function confirm({ title, text, label, run, typed }) {
  openDialog(title, (close) => html`
    <p>${text}</p>
    <${ActionForm} danger label=${label} onCancel=${close} keep run=${async (values) => {
      if (typed && values.typed !== typed) throw new Error(`That is not "${typed}".`);
      const said = await run();
      close();
      return said;
    }}>
      ${typed && html`<${Field} label=${html`Type <b class="mono">${typed}</b> to go on`} name="typed" required />`}
    <//>`);
}

export function Dialogs() {
  const dialog = useCell(asked);
  const opened = useRef(null);
  const open = (element) => {
    opened.current = element;
    if (element && !element.open) element.showModal();
  };
  if (!dialog) return null;
  return html`<dialog key=${dialog.title} ref=${open} class=${dialog.wide ? 'wide' : ''} aria-label=${dialog.title} onClose=${closeDialog}
      onMouseDown=${(event) => event.target === opened.current && closeDialog()}>
    <header class="row spread"><h2>${dialog.title}</h2><button type="button" class="plain" aria-label="Close" onClick=${closeDialog}>Close</button></header>
    <div class="body">${dialog.content(closeDialog)}</div>
  </dialog>`;
}
