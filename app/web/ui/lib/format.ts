// Numbers, durations and times as a person reads them. Pure; knows no API and no component.
export type Unit = 's' | 'ratio' | 'bytes' | 'bytes/s' | '/s' | 'short';

/** Three significant digits without trailing zeros: 12.34 → "12.3", 0.001 → "0.001". */
export function digits(x: number): string {
  if (x === 0) return '0';
  const a = Math.abs(x);
  if (a >= 100) return x.toFixed(0);
  if (a < 1e-4) return x.toExponential(1);
  return String(Number(x.toPrecision(3)));
}

function scaled(x: number, steps: [number, string][], gap: string): string {
  const a = Math.abs(x);
  for (const [size, name] of steps) if (a >= size * 0.9995) return digits(x / size) + (name ? gap + name : '');
  const [size, name] = steps[steps.length - 1] as [number, string];
  return digits(x / size) + (name ? gap + name : '');
}

/** Seconds as a duration: "820 µs", "12.3 ms", "1.5 s", "2 min 5 s", "3 h 12 min". */
export function duration(seconds: number | null | undefined): string {
  if (seconds == null || !Number.isFinite(seconds)) return seconds === Infinity ? '∞' : '–';
  if (seconds === 0) return '0 s';
  const a = Math.abs(seconds);
  if (a >= 86400) return two(seconds, 86400, 'd', 3600, 'h');
  if (a >= 3600) return two(seconds, 3600, 'h', 60, 'min');
  if (a >= 60) return two(seconds, 60, 'min', 1, 's');
  return scaled(seconds, [[1, 's'], [1e-3, 'ms'], [1e-6, 'µs'], [1e-9, 'ns']], ' ');
}
function two(x: number, big: number, bigName: string, little: number, littleName: string): string {
  const n = Math.round(Math.abs(x) / little) * little;
  const head = Math.floor(n / big);
  const tail = Math.round((n - head * big) / little);
  return `${x < 0 ? '−' : ''}${head} ${bigName}${tail ? ` ${tail} ${littleName}` : ''}`;
}

export function short(x: number | null | undefined): string {
  if (x == null || Number.isNaN(x)) return '–';
  if (!Number.isFinite(x)) return x > 0 ? '∞' : '−∞';
  return scaled(x, [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k'], [1, '']], ' ');
}
export function bytes(x: number | null | undefined): string {
  if (x == null || !Number.isFinite(x)) return '–';
  return scaled(x, [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [1024, 'KiB'], [1, 'B']], ' ');
}
/** A ratio (0.042) as a percentage ("4.2 %"). */
export function percent(ratio: number | null | undefined): string {
  if (ratio == null || !Number.isFinite(ratio)) return '–';
  const p = ratio * 100;
  return `${p !== 0 && Math.abs(p) < 0.01 ? '<0.01' : String(Number(p.toPrecision(Math.abs(p) >= 99.5 ? 4 : 2)))} %`;
}
/** Two digits are enough of a small rate: "18.3/s", "0.0057/s". */
export function perSecond(x: number | null | undefined): string {
  if (x == null || !Number.isFinite(x)) return '–';
  return `${short(Math.abs(x) < 0.1 ? Number(x.toPrecision(2)) : x)}/s`;
}
/** What a rate means: over which time, and how many that are in a minute or an hour. */
export function rateNote(x: number | null | undefined, overSeconds: number | null | undefined): string {
  if (x == null || overSeconds == null) return '';
  const many = x === 0 || x >= 1 ? '' : x >= 1 / 60 ? `${digits(x * 60)} a minute, ` : `${digits(x * 3600)} an hour, `;
  return `${many}over the last ${duration(Math.round(overSeconds))} for which there is data`;
}

export function value(x: number | null | undefined, unit: Unit): string {
  switch (unit) {
    case 's': return duration(x);
    case 'ratio': return percent(x);
    case 'bytes': return bytes(x);
    case 'bytes/s': return x == null || !Number.isFinite(x) ? '–' : `${bytes(x)}/s`;
    case '/s': return perSecond(x);
    case 'short': return short(x);
  }
}

/** The unit that an expression's outermost metric name suggests, as the naming conventions of Prometheus have it. */
export function guessUnit(expression: string): Unit {
  const perSec = /\b(i?rate|deriv)\s*\(/.test(expression);
  const counting = /^\s*(count|group)\b/.test(expression);
  if (counting) return 'short';
  if (/histogram_quantile/.test(expression)) return /_(seconds|latency|duration)/.test(expression) ? 's' : /_bytes/.test(expression) ? 'bytes' : 'short';
  if (/_ratio\b/.test(expression)) return 'ratio';
  if (/\/[^}]*$/.test(expression.replace(/"[^"]*"/g, ''))) return 'short';
  if (/_bytes(_total|_sum)?\b/.test(expression)) return perSec ? 'bytes/s' : 'bytes';
  if (/_seconds(_total|_sum)?\b/.test(expression)) return perSec ? 'short' : 's';
  return perSec ? '/s' : 'short';
}

const pad = (n: number, width = 2) => String(n).padStart(width, '0');
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
export function clock(ms: number, withMs = false): string {
  const d = new Date(ms);
  return `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}${withMs ? '.' + pad(d.getMilliseconds(), 3) : ''}`;
}
export function day(ms: number): string {
  const d = new Date(ms);
  return `${d.getDate()} ${MONTHS[d.getMonth()]}`;
}
export function dateTime(ms: number, withMs = false): string {
  return `${day(ms)} ${clock(ms, withMs)}`;
}
/** The value of a `datetime-local` field, to the second. */
export function localInput(ms: number): string {
  const d = new Date(ms);
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}T${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}
/** Labels on the time axis; `stepS` is the distance between two ticks in seconds. */
export function tick(seconds: number, stepS: number): string {
  const d = new Date(seconds * 1000);
  if (stepS >= 86400 || (d.getHours() === 0 && d.getMinutes() === 0 && d.getSeconds() === 0)) return day(seconds * 1000);
  if (stepS >= 60) return `${pad(d.getHours())}:${pad(d.getMinutes())}`;
  return clock(seconds * 1000, stepS < 1);
}
/** How long ago, coarse: "just now", "3 min ago", "2 d ago". */
export function ago(seconds: number): string {
  if (seconds < 5) return 'just now';
  if (seconds < 60) return `${Math.round(seconds)} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}
