/** What has to be undone, in reverse order, on success, failure and interruption alike. */
export class Cleanup {
  readonly #steps: { what: string; undo: () => Promise<void> | void }[] = [];
  #closing: Promise<void> | undefined;

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

/** Closes `cleanup` and exits with 130 or 143 when this process is interrupted. Returns a function that ends the watch. */
export function closeOnSignal(cleanup: Cleanup): () => void {
  const onSignal = (signal: NodeJS.Signals) => {
    const code = signal === "SIGINT" ? 130 : 143;
    cleanup.close().then(
      () => process.exit(code),
      (error: unknown) => {
        console.error(error instanceof Error ? error.message : error);
        process.exit(code);
      },
    );
  };
  const signals: NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, onSignal);
  return () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
}
