// Drag across a chart to choose a stretch of it. Works on any element; reports fractions of its width. Knows no chart.
export function brush(onBrush: (from: number, to: number) => void) {
  return (node: HTMLElement) => {
    let began: number | null = null;
    const band = document.createElement('div');
    band.className = 'brush';
    band.style.cssText = 'position:absolute;top:0;bottom:0;pointer-events:none;background:var(--accent);opacity:.16;display:none';
    node.style.position = 'relative';
    node.style.touchAction = 'pan-y';
    node.append(band);
    const at = (event: PointerEvent) => {
      const box = node.getBoundingClientRect();
      return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    };
    const down = (event: PointerEvent) => {
      if (event.button !== 0 || event.pointerType === 'touch') return;
      began = at(event);
    };
    const move = (event: PointerEvent) => {
      if (began == null) return;
      const now = at(event);
      if (Math.abs(now - began) < 0.008) return;
      if (!node.hasPointerCapture(event.pointerId)) node.setPointerCapture(event.pointerId);
      event.preventDefault();
      band.style.display = 'block';
      band.style.left = `${Math.min(began, now) * 100}%`;
      band.style.width = `${Math.abs(now - began) * 100}%`;
    };
    const up = (event: PointerEvent) => {
      if (began == null) return;
      const now = at(event);
      const shown = band.style.display === 'block';
      band.style.display = 'none';
      if (shown) onBrush(Math.min(began, now), Math.max(began, now));
      began = null;
    };
    const cancel = () => { began = null; band.style.display = 'none'; };
    node.addEventListener('pointerdown', down);
    node.addEventListener('pointermove', move);
    node.addEventListener('pointerup', up);
    node.addEventListener('pointercancel', cancel);
    return () => {
      node.removeEventListener('pointerdown', down);
      node.removeEventListener('pointermove', move);
      node.removeEventListener('pointerup', up);
      node.removeEventListener('pointercancel', cancel);
      band.remove();
    };
  };
}
