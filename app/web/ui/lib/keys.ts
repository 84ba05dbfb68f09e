// Keyboard shortcuts as a table: single keys, two keys in a row (`g s`), and `mod+k`. Silent while a person types. Knows no action.
const SEQUENCE_MS = 900;

export function keys(table: Record<string, () => void>) {
  let lead = '';
  let leadAt = 0;
  return (event: KeyboardEvent) => {
    const mod = event.metaKey || event.ctrlKey;
    const name = mod ? `mod+${event.key.toLowerCase()}` : event.key;
    const typing = (event.target as HTMLElement | null)?.closest?.('input, textarea, select, [contenteditable]');
    if (event.altKey || (mod && !table[name]) || (typing && !mod) || (!mod && document.querySelector('[role="dialog"][aria-modal="true"]'))) return;
    const sequence = `${lead} ${name}`;
    const fresh = lead && event.timeStamp - leadAt < SEQUENCE_MS;
    lead = '';
    const action = (fresh && table[sequence]) || table[name];
    if (action) {
      event.preventDefault();
      action();
    } else if (Object.keys(table).some((k) => k.startsWith(`${name} `))) {
      lead = name;
      leadAt = event.timeStamp;
    }
  };
}
