// Time series: from the samples that the broker keeps, else from what this page has seen so far.
import { html, useRef } from './ui.js';
import { useCell } from './cell.js';
import { range } from './settings.js';
import { Segmented } from './parts.js';

const RANGES = [[60, '1 min'], [600, '10 min'], [3600, '1 h'], [28_800, '8 h'], [86_400, '1 d']];
/** Seconds between two samples of a range, as RabbitMQ keeps them. */
const STEPS = { 60: 5, 600: 5, 3600: 60, 28_800: 600, 86_400: 1800 };
/** Points that a page remembers by itself. */
const MOST_SEEN = 720;

export function historyQuery(seconds, kinds = ['msg_rates', 'lengths']) {
  return Object.fromEntries(kinds.flatMap((kind) => [[`${kind}_age`, seconds], [`${kind}_incr`, STEPS[seconds]]]));
}

/** Samples of a counter as events a second; the newest is first in `samples`. */
function rates(samples) {
  const points = [];
  for (let i = samples.length - 1; i > 0; i -= 1) {
    const [older, newer] = [samples[i], samples[i - 1]];
    const seconds = (newer.timestamp - older.timestamp) / 1000;
    if (seconds > 0) points.push([newer.timestamp, Math.max(0, (newer.sample - older.sample) / seconds)]);
  }
  return points;
}

const levels = (samples) => samples.map(({ timestamp, sample }) => [timestamp, sample]).reverse();

/**
 * Lines for a chart out of `stats`, an object with `<name>` and `<name>_details`.
 * `wanted`: `[[key, label, tone], …]`; `kind` is 'rate' for counters or 'level' for lengths.
 */
export function useSeries(stats, wanted, kind, key) {
  const seen = useRef({ key: null, last: null, lines: {} });
  if (seen.current.key !== key) seen.current = { key, last: null, lines: {} };
  if (stats && seen.current.last !== stats) {
    seen.current.last = stats;
    for (const [name] of wanted) {
      // What never happened has no rate in the answer.
      const now = kind === 'rate' ? (stats[`${name}_details`]?.rate ?? 0) : stats[name];
      if (typeof now !== 'number') continue;
      const line = (seen.current.lines[name] ??= []);
      line.push([Date.now(), now]);
      if (line.length > MOST_SEEN) line.shift();
    }
  }
  return wanted.map(([name, label, tone, area]) => {
    const samples = stats?.[`${name}_details`]?.samples;
    const kept = samples?.length > 1 ? (kind === 'rate' ? rates(samples) : levels(samples)) : [];
    return { name: label, tone, area, points: kept.length ? kept : (seen.current.lines[name] ?? []) };
  });
}

/** The choice of how far charts look back, and the seconds chosen. */
export function useRange() {
  const seconds = useCell(range);
  const choice = html`<${Segmented} label="Charts look back" options=${RANGES} value=${seconds} onChoose=${(value) => range.set(value)} />`;
  return [STEPS[seconds] ? seconds : 600, choice];
}
