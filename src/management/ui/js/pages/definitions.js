// Definitions: all that was declared, as one file that this broker and RabbitMQ read.
import { html } from '../ui.js';
import { useCell } from '../cell.js';
import { download, path, post } from '../api.js';
import { hasTag } from '../session.js';
import { vhost } from '../settings.js';
import { ActionButton, ActionForm, Field, Panel, confirm } from '../parts.js';

const day = () => new Date().toISOString().slice(0, 10);
const KINDS = ['users', 'vhosts', 'permissions', 'policies', 'parameters', 'exchanges', 'queues', 'bindings'];

export function Definitions() {
  const chosen = useCell(vhost);
  const target = chosen ? `/definitions${path(chosen)}` : '/definitions';
  const what = chosen ? `virtual host ${chosen}` : 'everything, users with their password hashes included';
  async function load(values) {
    const file = values.file;
    const text = file?.size ? await file.text() : values.text;
    if (!text.trim()) throw new Error('Choose a file, or paste definitions.');
    let parsed;
    try {
      parsed = JSON.parse(text);
    } catch (error) {
      throw new Error(`This is not JSON: ${error.message}`);
    }
    const found = KINDS.filter((kind) => parsed[kind]?.length).map((kind) => `${parsed[kind].length} ${kind}`);
    confirm({
      title: 'Import these definitions?', label: 'Import', text: `${found.join(', ') || 'Nothing that is known'} into ${chosen || 'the broker'}. What is there already stays as it is.`,
      run: async () => {
        await post(target, parsed);
        return 'Imported';
      },
    });
  }
  return html`<div class="columns">
    <${Panel} title="Export"><div class="stack">
      <p>Exchanges, queues, bindings, policies and settings of ${what}; no messages. Choose a virtual host above to export only that one.</p>
      <div class="actions"><${ActionButton} class="primary" run=${() => download(target, `harrier-definitions-${day()}.json`)}>Download definitions<//></div></div><//>
    ${hasTag(...(chosen ? ['policymaker'] : [])) && html`<${Panel} title="Import"><${ActionForm} label="Import …" run=${load} keep>
      <${Field} label="File" name="file" type="file" accept="application/json,.json" hint="An export of this broker or of RabbitMQ 3.x or 4.x" />
      <${Field} label="Or paste it here"><textarea name="text" spellcheck="false"></textarea><//>
    <//><//>`}
  </div>`;
}
