// The keyboard: one letter for what is done often, `g` and a letter to go to a page.
import { html } from './ui.js';
import { go } from './router.js';
import { closeDialog, openDialog } from './parts.js';
import { reloadAll } from './live.js';
import { toggleTheme } from './settings.js';

const PLACES = {
  o: ['Overview', []], q: ['Queues', ['queues']], e: ['Exchanges', ['exchanges']], b: ['Bindings', ['bindings']],
  d: ['Dead letters', ['dead-letters']], c: ['Connections', ['connections']], h: ['Channels', ['channels']],
  u: ['Users', ['users']], v: ['Virtual hosts', ['vhosts']], p: ['Policies', ['policies']], a: ['Audit log', ['audit']],
};

let going = 0;

function step(by) {
  const links = [...document.querySelectorAll('main tbody tr')].map((row) => row.querySelector('a, button, input')).filter(Boolean);
  if (!links.length) return;
  const at = links.findIndex((link) => link.closest('tr').contains(document.activeElement));
  links[Math.max(0, Math.min(links.length - 1, at < 0 ? 0 : at + by))].focus();
}

function turn(way) {
  document.querySelector(`main [data-page="${way}"]:not(:disabled)`)?.click();
}

function help() {
  const row = (keys, text) => html`<dt>${keys.map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${text}</dd>`;
  openDialog('Keyboard', () => html`<div class="columns">
    <dl class="facts">
      ${row(['/'], 'Search in this list')}${row(['j', 'k'], 'Next, previous row')}${row(['Enter'], 'Open the row')}
      ${row([']', '['], 'Next, previous page')}${row(['r'], 'Look again now')}${row(['t'], 'Dark or light')}${row(['Esc'], 'Close, leave the field')}${row(['?'], 'This help')}
    </dl>
    <dl class="facts">${Object.entries(PLACES).map(([key, [name]]) => row(['g', key], name))}</dl>
  </div>`);
}

const DEEDS = {
  '/': (event) => {
    event.preventDefault();
    const box = document.querySelector('[data-search]');
    box?.focus();
    box?.select();
  },
  '?': help, r: reloadAll, t: toggleTheme, j: () => step(1), k: () => step(-1), ']': () => turn('on'), '[': () => turn('back'),
  g: () => {
    going = Date.now();
  },
};

/** Puts the keys to work; called once. */
export function listenToKeys() {
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest?.('input:not([type="checkbox"]):not([type="radio"]), textarea, select');
    if (event.key === 'Escape') {
      if (typing) event.target.blur();
      return;
    }
    if (typing || document.querySelector('dialog[open]')) return;
    const place = Date.now() - going < 1500 && PLACES[event.key];
    going = 0;
    if (place) {
      closeDialog();
      go(place[1]);
    } else {
      DEEDS[event.key]?.(event);
    }
  });
}

export { help };
