// Numbers, sizes and times as people read them, in the browser's language and time zone.
const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });
const decimal = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const zoned = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const ago = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto', style: 'short' });

export const absent = '–';
const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

export const count = (value) => (isNumber(value) ? whole.format(value) : absent);
export const compact = (value) => (!isNumber(value) ? absent : Math.abs(value) < 100_000 ? whole.format(value) : short.format(value));

/** Events a second. */
export function rate(value) {
  if (!isNumber(value)) return absent;
  if (value >= 100_000) return `${short.format(value)}/s`;
  return `${(value >= 100 ? whole.format(Math.round(value)) : decimal.format(value))}/s`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(value) {
  if (!isNumber(value)) return absent;
  let unit = 0;
  let size = value;
  while (Math.abs(size) >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size >= 100 || unit === 0 ? whole.format(Math.round(size)) : decimal.format(size)} ${UNITS[unit]}`;
}

export const byteRate = (value) => (isNumber(value) ? `${bytes(value)}/s` : absent);

/** A length of time given in milliseconds. */
export function span(ms) {
  if (!isNumber(ms)) return absent;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const parts = [['d', 86_400_000], ['h', 3_600_000], ['min', 60_000], ['s', 1000]];
  const first = parts.findIndex(([, size]) => ms >= size);
  const said = [];
  let rest = ms;
  for (const [name, size] of parts.slice(first, first + 2)) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n) said.push(`${n} ${name}`);
  }
  return said.join(' ');
}

/** Milliseconds since the epoch, from a number (seconds or milliseconds) or an ISO text; null if it is none. */
export function instant(value) {
  if (isNumber(value)) return value < 100_000_000_000 ? value * 1000 : value;
  // RabbitMQ writes `2026-11-21 20:31:03`, in UTC without saying so.
  const text = typeof value === 'string' && /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(value) ? `${value.replace(' ', 'T')}Z` : value;
  const parsed = typeof text === 'string' ? Date.parse(text) : NaN;
  return Number.isNaN(parsed) ? null : parsed;
}

export const time = (value) => (instant(value) === null ? absent : moment.format(instant(value)));
export const timeWithZone = (value) => (instant(value) === null ? absent : zoned.format(instant(value)));
export const timeOfDay = (value) => clock.format(value);

export function since(value) {
  const at = instant(value);
  if (at === null) return absent;
  const seconds = (at - Date.now()) / 1000;
  const steps = [['day', 86_400], ['hour', 3600], ['minute', 60]];
  for (const [unit, size] of steps) {
    if (Math.abs(seconds) >= size) return ago.format(Math.trunc(seconds / size), unit);
  }
  return Math.abs(seconds) < 3 ? 'just now' : ago.format(Math.trunc(seconds), 'second');
}

/** A value of a header or an argument, in one line. */
export function brief(value, most = 120) {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

export const plural = (n, one, many = `${one}s`) => `${whole.format(n)} ${n === 1 ? one : many}`;
