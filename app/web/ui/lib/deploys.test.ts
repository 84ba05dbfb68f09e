import { describe, expect, it } from 'vitest';
import type { Judged, Step, StepState } from './api/deployments';
import { effect, lastRuling, marks, serviceOf, stages, versions } from './deploys';

const step = (id: string, stage: string, state: StepState, more: Partial<Step> = {}) => ({ id, name: id, stage, state, ruling: null, ...more }) as Step;

describe('stages', () => {
  const check = (states: [string, StepState][], expected: [string, string][]) => expect(stages(states.map(([stage, state], i) => step(String(i), stage, state))).map((s) => [s.name, s.tone])).toEqual(expected);
  it('are as far as their steps, and as bad as the worst', () => {
    check([], []);
    check([['preparing', 'done'], ['deploying', 'running'], ['deploying', 'done'], ['verifying', 'waits']], [['preparing', 'ok'], ['deploying', 'going'], ['verifying', 'unknown']]);
    check([['preparing', 'asks'], ['deploying', 'waits']], [['preparing', 'warning'], ['deploying', 'unknown']]);
    check([['deploying', 'undone'], ['deploying', 'undone'], ['verifying', 'failed']], [['deploying', 'unknown'], ['verifying', 'critical']]);
    check([['preparing', 'skipped'], ['preparing', 'done']], [['preparing', 'ok']]);
  });
});
describe('versions', () => {
  it('say what was there', () => {
    expect(versions({ version: '2', version_before: '1' })).toBe('1 → 2');
    expect(versions({ version: '2', version_before: 'unknown' })).toBe('2');
    expect(versions({})).toBe('?');
  });
});
describe('the service of a query', () => {
  const check = (query: string, expected: string | null) => expect(serviceOf(query), query).toBe(expected);
  it('is the one that is named', () => {
    check('rate(traces_spanmetrics_calls_total{service="cart"}[1m])', 'cart');
    check('{service_name="cart"} / {job="shop/cart"}', 'cart');
    check('a{service="cart"} / b{service="web"}', null);
    check('sum(up)', null);
    check('up{instance="service"}', null);
    check('{service=~"a|b"}', null);
  });
});
describe('a mark', () => {
  it('tells version and outcome; what never began is none', () => {
    const row = { run: 'r', title: '', target: '', labels: { service: 'cart', version: '2', version_before: '1', environment: 'prod' }, created_ms: 5000, ended_ms: 6000, sentence: '' };
    expect(marks([{ ...row, status: 'rolled-back' }, { ...row, status: 'planned' }])).toEqual([{ run: 'r', time: 5, tone: 'critical', text: 'cart 1 → 2 · prod · rolled back' }]);
  });
});
describe('the judge', () => {
  it('has the last word', () => {
    const judged = [step('gate', 'preparing', 'done', { ruling: { pass: { sentence: 'open' } } }), step('judge', 'verifying', 'failed', { ruling: { fail: { sentence: 'errors rose' } } }), step('rm', 'verifying', 'waits')];
    expect(lastRuling(judged)).toEqual({ word: 'fail', sentence: 'errors rose', step: 'judge' });
    expect(lastRuling([])).toBeNull();
  });
  it('tells how much worse', () => {
    const check = (unit: Judged['unit'], size: number | null, expected: string) => expect(effect({ unit, effect: size } as Judged)).toBe(expected);
    check('share', 0.294, '+29 points');
    check('seconds', 1.234, '+123 %');
    check('per_second', -0.05, '−5 %');
    check('count', 3, '+3');
    check('number', null, '–');
  });
});
