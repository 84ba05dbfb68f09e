// Runs before the first paint, so that a chosen theme does not flash. A file of its own because the CSP forbids inline scripts.
try {
  const chosen = localStorage.getItem('apm.theme');
  if (chosen === 'dark' || chosen === 'light') document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be blocked; the system's theme then applies.
}
