import type { Cleanup } from "../support/cleanup.js";

/** How long and where an attack runs. */
export interface Setting {
  /** For each fuzzer, and for what goes on as long as it is let. */
  seconds: number;
  /** The form for every change: fewer rounds of what is counted. */
  short: boolean;
  /** Ends what is running when the attack is interrupted. */
  cleanup: Cleanup;
}

/** Something hostile that is done to Sluice. */
export interface Attack {
  name: string;
  about: string;
  /** @returns one line on what was done. Throws with what was found: its first line is the headline. */
  run(setting: Setting): Promise<string>;
}
