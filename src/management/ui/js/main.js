// Chooses the page for an address.
import { html, render, useEffect } from './ui.js';
import { useCell } from './cell.js';
import { route } from './router.js';
import { session } from './session.js';
import { listenToKeys } from './keys.js';
import { Dialogs, Empty, Go, Toasts, closeDialog } from './parts.js';
import { Frame } from './frame.js';
import { Login } from './login.js';
import { Overview } from './pages/overview.js';
import { Queues } from './pages/queues.js';
import { Queue } from './pages/queue.js';
import { Exchange, Exchanges } from './pages/exchanges.js';
import { Bindings } from './pages/bindings.js';
import { Connection, Connections } from './pages/connections.js';
import { Channel, Channels } from './pages/channels.js';
import { Consumers } from './pages/consumers.js';
import { Policies } from './pages/policies.js';
import { Parameters } from './pages/parameters.js';
import { User, Users } from './pages/users.js';
import { Vhost, Vhosts } from './pages/vhosts.js';
import { Definitions } from './pages/definitions.js';
import { Audit } from './pages/audit.js';
import { DeadLetters } from './pages/dead_letters.js';
import { Trace, Traces } from './pages/traces.js';
import { Workbench } from './pages/workbench.js';

const LISTS = {
  queues: ['Queues', Queues], exchanges: ['Exchanges', Exchanges], bindings: ['Bindings', Bindings], connections: ['Connections', Connections],
  channels: ['Channels', Channels], consumers: ['Consumers', Consumers], policies: ['Policies', Policies], parameters: ['Shovels and parameters', Parameters],
  users: ['Users', Users], vhosts: ['Virtual hosts', Vhosts], definitions: ['Definitions', Definitions], audit: ['Audit log', Audit],
  'dead-letters': ['Dead letters', DeadLetters], traces: ['Traces', Traces],
};

/** Pages of one thing: how many segments name it, and what draws it. */
const THINGS = {
  queues: [2, Queue, (vhost, name) => name], exchanges: [2, Exchange, (vhost, name) => (name === 'amq.default' ? '(default exchange)' : name)],
  connections: [1, Connection, (name) => name], channels: [1, Channel, (name) => name], users: [1, User, (name) => name],
  vhosts: [1, Vhost, (name) => name], 'dead-letters': [2, Workbench, (vhost, name) => name], traces: [1, Trace, (id) => id],
};

function choose([kind, ...rest]) {
  if (!kind) return { title: 'Overview', page: html`<${Overview} />` };
  const [listTitle, List] = LISTS[kind] ?? [];
  if (List && rest.length === 0) return { title: listTitle, page: html`<${List} key=${kind} />` };
  const [segments, Thing, name] = THINGS[kind] ?? [];
  if (Thing && rest.length === segments) {
    return { title: name(...rest), crumbs: [[listTitle, [kind]]], page: html`<${Thing} key=${rest.join('/')} names=${rest} />` };
  }
  return { title: 'No such page', page: html`<section class="panel"><${Empty} title="There is nothing at this address">Back to the <${Go} to=${[]}>overview<//>.<//></section>` };
}

function App() {
  const signedIn = useCell(session);
  const { segments } = useCell(route);
  const chosen = choose(segments);
  const where = segments.join('/');
  useEffect(() => {
    document.title = signedIn ? `${chosen.title} · Harrier` : 'Sign in · Harrier';
    closeDialog();
    scrollTo(0, 0);
  }, [where, Boolean(signedIn)]);
  return html`${signedIn ? html`<${Frame} title=${chosen.title} crumbs=${chosen.crumbs}>${chosen.page}<//>` : html`<${Login} />`}<${Dialogs} /><${Toasts} />`;
}

listenToKeys();
render(html`<${App} />`, document.getElementById('app'));
