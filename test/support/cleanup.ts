/** What has to be undone, in reverse order, on success, failure and interruption alike. */
export class Cleanup {
  readonly #steps: { what: string; undo: () => Promise<void> | void }[] = [];
  #closing: Promise<void> | undefined;

  get closing(): boolean {
    return this.#closing !== undefined;
  }

  /** Registers `undo`; errors name `what`. */
  defer(what: string, undo: () => Promise<void> | void): void {
    if (this.#closing) throw new Error(`${what} was made after the clean-up began`);
    this.#steps.push({ what, undo });
  }

  /** Undoes everything; a step that fails does not keep the others from running. Throws an AggregateError at the end. */
  close(): Promise<void> {
    this.#closing ??= this.#undoAll();
    return this.#closing;
  }

  async #undoAll(): Promise<void> {
    const errors: Error[] = [];
    for (const { what, undo } of this.#steps.reverse()) {
      try {
        await undo();
      } catch (error) {
        errors.push(new Error(`clean-up of ${what} failed: ${error instanceof Error ? error.message : String(error)}`));
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, errors.map((error) => error.message).join("\n"));
  }
}

/**
 * When this process is interrupted: closes `cleanup`, then runs `last` (for what was in the making just then), and exits with
 * 130 or 143. Returns a function that ends the watch.
 */
export function closeOnSignal(cleanup: Cleanup, last: () => Promise<unknown>): () => void {
  const onSignal = (signal: NodeJS.Signals) => {
    if (cleanup.closing) return;
    console.error(`\n${signal}: cleaning up`);
    cleanup
      .close()
      .catch((error: Error) => console.error(error.message))
      .then(last)
      .catch((error: Error) => console.error(error.message))
      .finally(() => process.exit(signal === "SIGINT" ? 130 : 143));
  };
  const signals: NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, onSignal);
  return () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
}
