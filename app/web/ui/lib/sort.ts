// Sorting rows by a column named in the URL (`name`, `-rate`). Pure. What has no value comes last either way.
export function sorted<T>(rows: T[], sort: string, pick: Record<string, (row: T) => string | number | null | undefined>): T[] {
  const down = sort.startsWith('-');
  const get = pick[down ? sort.slice(1) : sort];
  if (!get) return rows;
  return [...rows].sort((a, b) => {
    const x = get(a), y = get(b);
    if (x == null || y == null) return x == null ? (y == null ? 0 : 1) : -1;
    const order = typeof x === 'string' || typeof y === 'string' ? String(x).localeCompare(String(y)) : x - y;
    return down ? -order : order;
  });
}
