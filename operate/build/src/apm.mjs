// Started by NODE_OPTIONS before the program. It switches OpenTelemetry's agent on for both kinds of modules; nothing that goes wrong here may reach the
// program. The agent's own listener keeps a process alive on SIGTERM that would have ended: here it sends what it has, and the signal's default holds.
import { register } from 'node:module';
import { isMainThread } from 'node:worker_threads';

const FLUSH_MS_MAX = 2000;
const TOOL = /[\\/](npm|npx|yarn|pnpm|corepack)(-cli)?(\.c?js)?$/;

if (!TOOL.test(process.argv[1] ?? '')) {
  try {
    register('@opentelemetry/instrumentation/hook.mjs', import.meta.url);
    const before = new Set(process.listeners('SIGTERM'));
    await import('@opentelemetry/auto-instrumentations-node/register');
    const senders = process.listeners('SIGTERM').filter((listener) => !before.has(listener));
    for (const listener of senders) process.removeListener('SIGTERM', listener);
    if (isMainThread) process.on('SIGTERM', leave(senders));
  } catch (error) {
    if (process.env.APM_RUN_DEBUG) console.error(error);
  }
}

function leave(senders) {
  const listener = async () => {
    // The program's own listener decides when it ends.
    const alone = process.listenerCount('SIGTERM') === 1;
    const patience = new Promise((done) => setTimeout(done, FLUSH_MS_MAX).unref());
    await Promise.race([Promise.allSettled(senders.map((send) => send())), patience]);
    if (!alone) return;
    process.removeListener('SIGTERM', listener);
    process.kill(process.pid, 'SIGTERM');
    // The first process of a container is spared the signal's default.
    setTimeout(() => process.exit(143), 50);
  };
  return listener;
}
