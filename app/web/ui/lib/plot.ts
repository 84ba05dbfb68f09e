// Options for uPlot in the page's look. Knows uPlot and units; knows no API and no component.
import type uPlot from 'uplot';
import { tick, value, type Unit } from './format';
import { colour } from './theme.svelte';

export interface Line { name: string; colour: string; fill?: boolean; dash?: boolean }
export interface PlotInput {
  width: number;
  height: number;
  lines: Line[];
  unit: Unit;
  stack: boolean;
  bounds: () => [number, number];
  onCursor: (u: uPlot) => void;
  onBrush: (start: number, end: number) => void;
  onDraw: (u: uPlot) => void;
}
/** `var(--s1)` → its present value: a canvas cannot read variables. */
const solid = (c: string) => (c.startsWith('var(') ? colour(c.slice(4, -1)) : c);
const BYTE_STEPS = Array.from({ length: 50 }, (_, i) => 2 ** i);

export function options(p: PlotInput): uPlot.Options {
  const muted = colour('--muted');
  const line = colour('--line');
  const grid = { stroke: line, width: 1 };
  const font = `11px ${colour('--sans')}`;
  return {
    width: p.width,
    height: p.height,
    // Half a time label fits beside the plot.
    padding: [8, 20, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      sync: { key: 'apm', setSeries: false },
      points: { size: 7, fill: (u, i) => String((u.series[i]?.stroke as (() => string) | undefined)?.() ?? muted) },
      drag: { x: true, y: false, setScale: false, dist: 6 },
    },
    scales: {
      x: { time: true, range: () => p.bounds() },
      y: { range: (_u, lo, hi) => span(lo, hi, p.unit) },
    },
    axes: [
      { stroke: muted, grid: { show: false }, ticks: { ...grid, size: 4 }, font, size: 26, space: 64, values: (_u, splits, _i, _s, incr) => splits.map((s) => tick(s, incr)) },
      {
        stroke: muted, grid, ticks: { show: false }, font, gap: 6, space: 32,
        size: (_u, labels) => Math.max(38, ...(labels ?? []).map((l) => l.length * 6.4 + 10)),
        values: (_u, splits) => splits.map((s) => value(s, p.unit)),
        ...(p.unit.startsWith('bytes') ? { incrs: BYTE_STEPS } : {}),
      },
    ],
    series: [
      {},
      ...p.lines.map((l): uPlot.Series => ({
        label: l.name, width: p.stack ? 1 : 1.5, stroke: solid(l.colour), spanGaps: false, points: { size: 4 },
        ...(l.dash ? { dash: [4, 4] } : {}), ...(p.stack || l.fill ? { fill: solid(l.colour) + (p.stack ? '38' : '1c') } : {}),
      })),
    ],
    ...(p.stack ? { bands: p.lines.slice(1).map((_, i): uPlot.Band => ({ series: [i + 2, i + 1] })) } : {}),
    hooks: {
      setCursor: [p.onCursor],
      draw: [p.onDraw],
      setSelect: [
        (u) => {
          if (u.select.width < 6) return;
          const from = u.posToVal(u.select.left, 'x');
          const to = u.posToVal(u.select.left + u.select.width, 'x');
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          p.onBrush(from, to);
        },
      ],
    },
  };
}
/** From zero where that does not hide the shape of what is drawn; a flat zero gets some height. */
function span(lo: number | null, hi: number | null, unit: Unit): [number, number] {
  if (lo == null || hi == null) return [0, unit === 'ratio' ? 0.01 : 1];
  if (lo >= 0) {
    if (hi === 0) return [0, unit === 'ratio' ? 0.01 : 1];
    return [0, hi * 1.08];
  }
  const margin = (hi - lo || 1) * 0.08;
  return [lo - margin, hi + margin];
}
