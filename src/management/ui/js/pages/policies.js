// Policies: settings by pattern for many queues or exchanges, changed while all runs.
import { html } from '../ui.js';
import { useCell } from '../cell.js';
import { get, getIfThere, path, put, remove } from '../api.js';
import { useLive } from '../live.js';
import { hasTag } from '../session.js';
import { vhost } from '../settings.js';
import { ActionForm, Choice, Empty, Field, Panel, Waiting, confirm, openDialog } from '../parts.js';
import { Pairs, objectToPairs, usePairs } from '../pairs.js';
import { ShortSearch, ShortTable } from '../table.js';
import { scoped } from '../frame.js';
import { brief } from '../format.js';
import { VhostChoice } from './common.js';

const KEYS = [
  ['dead-letter-exchange', 'where rejected and expired messages go'], ['dead-letter-routing-key', 'their routing key'], ['message-ttl', 'milliseconds until a message expires'], ['expires', 'milliseconds until an unused queue goes'],
  ['max-length', 'messages at most'], ['max-length-bytes', 'octets at most'], ['overflow', 'drop-head, reject-publish or reject-publish-dlx'], ['delivery-limit', 'deliveries before dead-lettering'],
  ['dead-letter-strategy', 'at-most-once or at-least-once'], ['alternate-exchange', 'takes what no binding matches'], ['consumer-timeout', 'milliseconds until an unsettled delivery is taken back'],
  ['delayed-retry-type', 'which failed deliveries wait before the next one'], ['delayed-retry-min', 'shortest wait, milliseconds'], ['delayed-retry-max', 'longest wait, milliseconds'],
];
const APPLY = [['queues', 'queues'], ['classic_queues', 'classic queues'], ['quorum_queues', 'quorum queues'], ['streams', 'streams'], ['exchanges', 'exchanges'], ['all', 'queues and exchanges']];

export function Policies() {
  const chosen = useCell(vhost);
  const { data, error, reload } = useLive(async (signal) => {
    const [own, operator] = await Promise.all([get(scoped('policies', chosen), { signal }), getIfThere(scoped('operator-policies', chosen), { signal })]);
    return { own, operator: operator ?? [] };
  }, `policies ${chosen}`);
  if (!data) return html`<${Waiting} error=${error} retry=${reload} />`;
  return html`
    <${PolicyList} kind="policies" title="Policies" policies=${data.own} reload=${reload} mayEdit=${hasTag('policymaker')}>
      A policy gives settings to all queues or exchanges whose names match a pattern. When several match, the one with the highest priority counts alone.<//>
    <${PolicyList} kind="operator-policies" title="Operator policies" policies=${data.operator} reload=${reload} mayEdit=${hasTag()}>
      An operator policy sets bounds that neither arguments nor policies can exceed.<//>`;
}

function PolicyList({ kind, title, policies, reload, mayEdit, children }) {
  const edit = (policy) => openDialog(policy ? `Edit ${policy.name}` : `Add: ${title.toLowerCase().replace(/ies$/, 'y')}`, (close) => html`<${Editor} kind=${kind} policy=${policy} close=${close} reload=${reload} />`, { wide: true });
  const drop = (policy) => confirm({
    title: `Delete ${policy.name}?`, label: 'Delete policy', text: 'What it set no longer holds, from now on.',
    run: async () => {
      await remove(`/${kind}${path(policy.vhost, policy.name)}`);
      reload();
      return `${policy.name} was deleted`;
    },
  });
  const columns = [
    { key: 'name', title: 'Name', sort: 'name', cls: 'name', cell: (policy) => policy.name }, { key: 'vhost', title: 'Virtual host', sort: 'vhost', cell: (policy) => policy.vhost },
    { key: 'pattern', title: 'Pattern', sort: 'pattern', cls: 'mono', cell: (policy) => policy.pattern }, { key: 'to', title: 'Applies to', sort: 'apply-to', cell: (policy) => policy['apply-to'].replace('_', ' ') },
    { key: 'definition', title: 'Definition', cell: (policy) => html`<span class="tags">${Object.entries(policy.definition).map(([name, value]) => html`<span class="tag">${name}: ${brief(value, 60)}</span>`)}</span>` },
    { key: 'priority', title: 'Priority', sort: 'priority', num: true, cell: (policy) => String(policy.priority) },
    mayEdit && { key: 'acts', title: html`<span class="visually-hidden">Actions</span>`, cls: 'num', cell: (policy) => html`<button type="button" class="plain small" onClick=${() => edit(policy)}>Edit</button><button type="button" class="plain small danger" onClick=${() => drop(policy)}>Delete</button>` },
  ].filter(Boolean);
  const tools = html`${kind === 'policies' && html`<${ShortSearch} />`}${mayEdit && html`<button type="button" class="small" onClick=${() => edit(null)}>Add</button>`}`;
  return html`<${Panel} title=${title} flush tools=${tools}>
    <${ShortTable} label=${title} what="policies" rows=${policies} columns=${columns} first="name" keyOf=${(policy) => `${policy.vhost} ${policy.name}`} empty=${html`<${Empty} title=${`No ${title.toLowerCase()}`}>${children}<//>`} /><//>`;
}

function Editor({ kind, policy, close, reload }) {
  const pairs = usePairs(objectToPairs(policy?.definition));
  async function save(values) {
    const [vhostName, name] = policy ? [policy.vhost, policy.name] : [values.vhost, values.name];
    await put(`/${kind}${path(vhostName, name)}`, { pattern: values.pattern, 'apply-to': values.apply, definition: pairs.value(), priority: Number(values.priority) });
    close();
    reload();
    return `${name} is in force`;
  }
  return html`<${ActionForm} label="Save" run=${save} keep onCancel=${close}>
    <div class="fields">
      ${!policy && html`<${Field} label="Name" name="name" required /><${VhostChoice} />`}
      <${Field} label="Pattern" name="pattern" required defaultValue=${policy?.pattern} placeholder="^orders\\." hint="A regular expression on names" />
      <${Choice} label="Applies to" name="apply" options=${APPLY} value=${policy?.['apply-to'] ?? 'queues'} />
      <${Field} label="Priority" name="priority" type="number" defaultValue=${policy?.priority ?? 0} required />
    </div>
    <${Pairs} label="Definition" pairs=${pairs} known=${KEYS} id="policy-keys" />
  <//>`;
}
