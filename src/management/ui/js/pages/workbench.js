import { html } from '../ui.js';
export function Workbench() { return html`<p>soon</p>`; }
