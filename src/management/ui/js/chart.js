// Line charts over time, drawn as SVG: few points, sharp on every screen, coloured by the theme.
import { html, useEffect, useRef, useState } from './ui.js';
import { timeOfDay } from './format.js';

const HEIGHT = 190;
const MARGIN = { top: 8, right: 10, bottom: 20, left: 58 };

/** The least of 1, 2, 2.5 and 5 times a power of ten that is not below `value`. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

function scaleTop(lines) {
  const most = Math.max(0, ...lines.flatMap(({ points }) => points.map(([, value]) => value)));
  return Math.max(4, most > 0 ? roundUp(most / 4) * 4 : 0);
}

function useWidth() {
  const element = useRef(null);
  const [width, setWidth] = useState(600);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.max(240, Math.round(entry.contentRect.width))));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return [element, width];
}

function nearest(points, at) {
  let best = null;
  for (const point of points) {
    if (!best || Math.abs(point[0] - at) < Math.abs(best[0] - at)) best = point;
  }
  return best;
}

/**
 * `lines`: `[{ name, tone, points: [[ms, value]…] oldest first, area }]`; `tone` is a class `s1` to `s6`.
 * `show` writes a value, `title` says what the chart is of.
 */
export function Chart({ title, lines, show, seconds }) {
  const [element, width] = useWidth();
  const [pointer, setPointer] = useState(null);
  const known = lines.filter(({ points }) => points.length > 0);
  const newest = Math.max(0, ...known.map(({ points }) => points.at(-1)[0])) || Date.now();
  const oldest = newest - seconds * 1000;
  const top = scaleTop(known);
  const inner = { width: width - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const x = (at) => MARGIN.left + (inner.width * (at - oldest)) / (newest - oldest);
  const y = (value) => MARGIN.top + inner.height * (1 - value / top);
  const within = ({ points }) => points.filter(([at]) => at >= oldest);
  const trace = (points) => points.map(([at, value], i) => `${i ? 'L' : 'M'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join('');
  const floor = y(0).toFixed(1);

  function follow(event) {
    const box = event.currentTarget.getBoundingClientRect();
    const at = oldest + ((event.clientX - box.left - MARGIN.left) / inner.width) * (newest - oldest);
    setPointer(at < oldest || at > newest ? null : at);
  }
  const pointed = pointer === null ? null : nearest(known.flatMap(({ points }) => points), pointer)?.[0];
  const value = (line) => (pointed ? nearest(line.points, pointed) : line.points.at(-1))?.[1];
  const said = lines.map((line) => `${line.name} ${show(line.points.at(-1)?.[1])}`).join(', ');

  return html`<figure class="chart" ref=${element} style=${{ margin: '0' }}>
    <svg viewBox=${`0 0 ${width} ${HEIGHT}`} role="img" aria-label=${`${title}: ${said}`} onPointerMove=${follow} onPointerLeave=${() => setPointer(null)}>
      ${[0, 1, 2, 3, 4].map((n) => {
        const level = (top * n) / 4;
        return html`<line class="grid" x1=${MARGIN.left} x2=${width - MARGIN.right} y1=${y(level)} y2=${y(level)} />
          <text class="axis" x=${MARGIN.left - 7} y=${y(level) + 4} text-anchor="end">${show(level)}</text>`;
      })}
      ${[0, 0.5, 1].map((part) => html`<text class="axis" x=${x(oldest + part * (newest - oldest))} y=${HEIGHT - 4}
        text-anchor=${part === 0 ? 'start' : part === 1 ? 'end' : 'middle'}>${timeOfDay(oldest + part * (newest - oldest))}</text>`)}
      ${known.map((line) => {
        const points = within(line);
        if (!points.length) return null;
        return html`${line.area && html`<path class=${`area ${line.tone}`} d=${`${trace(points)}L${x(points.at(-1)[0]).toFixed(1)} ${floor}L${x(points[0][0]).toFixed(1)} ${floor}Z`} />`}
          <path class=${`line ${line.tone}`} d=${trace(points)} />`;
      })}
      ${pointed && html`<line class="cross" x1=${x(pointed)} x2=${x(pointed)} y1=${MARGIN.top} y2=${floor} />
        ${known.map((line) => html`<circle class=${`dot ${line.tone}`} r="3.5" cx=${x(pointed)} cy=${y(value(line) ?? 0)} />`)}`}
    </svg>
    <ul class="legend">
      ${lines.map((line) => html`<li><span class=${`swatch ${line.tone}`}></span>${line.name} <b>${show(value(line))}</b></li>`)}
      ${pointed && html`<li class="when">${timeOfDay(pointed)}</li>`}
    </ul>
  </figure>`;
}

/** A line without axes, for a row of a table. */
export function Spark({ points, tone = 's1' }) {
  if (!points || points.length < 2) return null;
  const values = points.map(([, value]) => value);
  const most = Math.max(...values) || 1;
  const d = values.map((value, i) => `${i ? 'L' : 'M'}${((90 * i) / (values.length - 1) + 1).toFixed(1)} ${(18 - (16 * value) / most).toFixed(1)}`).join('');
  return html`<svg class="spark" viewBox="0 0 92 20" aria-hidden="true"><path class=${`line ${tone}`} fill="none" stroke-width="1.5" d=${d} /></svg>`;
}
