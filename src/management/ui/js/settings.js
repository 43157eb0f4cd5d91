// What the person at the screen chose.
import { Cell, KeptCell } from './cell.js';

/** The virtual host that lists are limited to; '' for all. */
export const vhost = new KeptCell('harrier.vhost', '');

/** Milliseconds between two looks at the broker; 0 stops them. */
export const refresh = new KeptCell('harrier.refresh', 5000);

/** Seconds that charts look back. */
export const range = new KeptCell('harrier.range', 600);

/** How the last look went: 'on', 'off' or 'lost'. */
export const pulse = new Cell('on');

export function toggleTheme() {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === 'dark' ? 'light' : 'dark';
  try {
    localStorage.setItem('harrier.theme', root.dataset.theme);
  } catch {
    // It holds for as long as the page is open.
  }
}
