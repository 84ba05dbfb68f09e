// Something that is told as it happens, by server-sent events. Comes again by itself after a loss; knows no page.

/** Call while a component initialises. Follows `url()` while it is not empty; `heard` is called for each event, at most four times a second. */
export function follow(url: () => string, heard: () => void) {
  $effect(() => {
    const at = url();
    if (!at) return;
    const source = new EventSource(at);
    let timer: ReturnType<typeof setTimeout> | undefined;
    source.onmessage = () => { timer ??= setTimeout(() => { timer = undefined; heard(); }, 250); };
    return () => { clearTimeout(timer); source.close(); };
  });
}
