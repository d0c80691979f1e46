import type { Io } from "./output.js";

/**
 * Does work that lasts until it is told to end: by SIGINT or SIGTERM, by the reader of its output going away, or after a
 * time. Each is an ordinary end, with what was begun finished.
 */
export async function untilInterrupted(
  io: Io,
  work: (interrupted: AbortSignal, interrupt: () => void) => Promise<void>,
  afterMs?: number,
): Promise<void> {
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  const timer = afterMs === undefined ? undefined : setTimeout(interrupt, afterMs);
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  io.closed.addEventListener("abort", interrupt);
  try {
    if (!io.closed.aborted) await work(interruption.signal, interrupt);
  } finally {
    clearTimeout(timer);
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
    io.closed.removeEventListener("abort", interrupt);
  }
}
