import type { Logger } from "pino";

/** A terminal and a parent process often both send the signal for one Ctrl-C: those of this long count as one. */
const ONE_SIGNAL_MS = 1000;

/** Resolves on the first SIGINT or SIGTERM; a later one ends the process at once. */
export function signalled(log: Logger): Promise<void> {
  return new Promise((resolve) => {
    let first: number | undefined;
    const onSignal = (signal: NodeJS.Signals) => {
      if (first !== undefined && Date.now() - first > ONE_SIGNAL_MS) process.exit(1);
      if (first !== undefined) return;
      first = Date.now();
      log.info({ signal }, "stopping");
      resolve();
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
}
