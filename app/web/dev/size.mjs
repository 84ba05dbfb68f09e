// What a browser loads first, compressed; fails past the limit.
import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { join } from 'node:path';
const dist = join(import.meta.dirname, '..', 'dist');
let total = 0;
for (const name of readdirSync(dist).sort()) {
  const size = gzipSync(readFileSync(join(dist, name)), { level: 9 }).length;
  total += size;
  console.log(String(size).padStart(8), name);
}
console.log(String(total).padStart(8), 'in all; the limit is 150000');
process.exit(total > 150000 ? 1 : 0);
