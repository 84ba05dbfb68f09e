// Dark or light: the system's choice until a person picks one. Charts watch `theme.name` because a canvas cannot use CSS variables.
const system = matchMedia('(prefers-color-scheme: dark)');
const chosen = document.documentElement.dataset.theme;
const state = $state({ name: chosen === 'dark' || chosen === 'light' ? chosen : system.matches ? 'dark' : 'light' });

system.addEventListener('change', () => {
  if (!document.documentElement.dataset.theme) state.name = system.matches ? 'dark' : 'light';
});
export const theme = { get name() { return state.name; } };

export function toggleTheme() {
  state.name = state.name === 'dark' ? 'light' : 'dark';
  document.documentElement.dataset.theme = state.name;
  try { localStorage.setItem('apm.theme', state.name); } catch { /* storage may be blocked: the choice then lasts for this visit */ }
}
/** A colour variable's present value, for canvases. */
export const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const seriesColour = (index: number) => `var(--s${(index % 8) + 1})`;
