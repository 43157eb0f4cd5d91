// What a queue's messages have in common: why, from where, with which error, since when.
import { html } from '../ui.js';
import { adjust } from '../router.js';
import { Waiting } from '../parts.js';
import { count, plural, time } from '../format.js';

/** Groups of a kind that are shown. */
const MOST = 5;

export function Understanding({ live, filters }) {
  const { data, error, reload } = live;
  if (!data) return html`<${Waiting} error=${error} retry=${reload} what="Grouping the messages" />`;
  if (!data.messages) return null;
  return html`<section class="understanding" aria-label="What the messages have in common">
    <${Group} title="Why" groups=${data.reasons} total=${data.messages} chosen=${filters.reason} choose=${(value) => adjust({ reason: value, message: '' })} />
    <${Group} title="First died in" groups=${data.first_queues} total=${data.messages} chosen=${filters.first_queue} choose=${(value) => adjust({ first_queue: value, message: '' })} />
    <${Group} title="Error" groups=${data.errors} total=${data.messages} chosen=${filters.error} choose=${(value) => adjust({ error: value.replace(/^[^:]*: /, ''), message: '' })}
      none="No header tells one, such as x-error or x-exception-message." />
    <${Timeline} steps=${data.timeline} width=${data.step} />
  </section>`;
}

function Group({ title, groups, total, chosen, choose, none = 'not known' }) {
  const known = groups.filter(({ value }) => value !== null && value !== '');
  const shown = known.slice(0, MOST);
  const rest = known.slice(MOST).reduce((sum, group) => sum + group.count, 0);
  return html`<div><h3>${title}</h3>${shown.length
    ? html`<ul class="bars">${shown.map((group) => html`<li key=${group.value}><button type="button" style=${{ '--part': `${(100 * group.count) / total}%` }} aria-pressed=${String(chosen === group.value)}
        title=${`Show only these: ${group.value}`} disabled=${group.value.startsWith('(')} onClick=${() => choose(group.value)}><span>${group.value}</span><b>${count(group.count)}</b></button></li>`)}
        ${rest > 0 && html`<li class="muted small-text">and ${plural(rest, 'message')} in ${plural(known.length - MOST, 'smaller group')}</li>`}</ul>`
    : html`<p class="muted small-text">${none}</p>`}</div>`;
}

/** Messages by when they came, a bar for each step. */
function Timeline({ steps, width: seconds }) {
  if (steps.length === 0) return html`<div><h3>When</h3><p class="muted small-text">no times known</p></div>`;
  const most = Math.max(...steps.map((step) => step.count));
  const [first, last] = [steps[0].at, steps.at(-1).at];
  // Steps in which nothing came aren't listed.
  const width = 300 / ((last - first) / seconds + 1);
  const label = steps.length > 1 ? `${time(first)} to ${time(last)}` : time(first);
  return html`<div><h3>When</h3>
    <svg class="timeline" viewBox="0 0 300 64" preserveAspectRatio="none" role="img" aria-label=${`When they came: ${label}`}>
      ${steps.map((step) => {
        const height = (62 * step.count) / most;
        return html`<rect x=${((step.at - first) / seconds) * width + 0.5} y=${64 - height} width=${Math.max(1, Math.min(width - 1, 40))} height=${height}><title>${time(step.at)}: ${count(step.count)}</title></rect>`;
      })}
    </svg><div class="muted small-text">${label}</div></div>`;
}
