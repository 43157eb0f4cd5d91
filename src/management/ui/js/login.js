// The way in: a name and a password, or a token where the broker takes OAuth 2.
import { html, useState } from './ui.js';
import { useCell } from './cell.js';
import { get } from './api.js';
import { basic, begin, farewell } from './session.js';
import { ActionForm, Field } from './parts.js';
import { Mark } from './frame.js';

export function Login() {
  const [token, setToken] = useState(false);
  const reason = useCell(farewell);
  async function signIn(values) {
    const header = token ? `Bearer ${values.token.trim()}` : basic(values.name, values.password);
    try {
      begin(header, await get('/whoami', { header }));
    } catch (error) {
      if (error.status === 401) error.message = explain(error.message);
      throw error;
    }
  }
  return html`<div class="login"><div class="panel">
    <div class="body stack">
      <div class="row"><${Mark} /><h1>Harrier</h1></div>
      ${reason && html`<p class="note" role="status">${reason}</p>`}
      <${ActionForm} label="Sign in" run=${signIn} keep
        extra=${html`<button type="button" class="plain" onClick=${() => setToken(!token)}>${token ? 'Use a password' : 'Use a token'}</button>`}>
        ${token
          ? html`<${Field} key="token" label="Access token" hint="A JWT from the identity provider that the broker trusts"><textarea name="token" required spellcheck="false"></textarea><//>`
          : html`<${Field} key="name" label="User" name="name" required autofocus autocomplete="username" />
            <${Field} key="password" label="Password" name="password" type="password" autocomplete="current-password" />`}
      <//>
      <p class="muted small-text">Kept in this tab only, and sent with each request; closing the tab signs you out.</p>
    </div>
  </div></div>`;
}

function explain(said) {
  if (/localhost/.test(said)) return `${said}. Make a user of your own to come from elsewhere.`;
  if (/not_authorized|Not_Authorized|^401/i.test(said)) return 'The broker knows no user with this name and password.';
  return said;
}
