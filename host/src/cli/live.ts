import { setTimeout as pause } from "node:timers/promises";
import { type Command, Option } from "commander";
import { durationMs, wholeNumber } from "./arguments.js";
import { untilInterrupted } from "./interrupt.js";
import type { Io } from "./output.js";
import { withScreen } from "./screen.js";

/** The options of commands that show figures again and again. */
export interface LiveOptions {
  output: "table" | "json";
  /** Milliseconds. */
  interval: number;
  /** Frames to show; absent: until it is interrupted. */
  count?: number;
}

export function withInterval(command: Command): Command {
  return command
    .addOption(new Option("--interval <time>", "between two readings").argParser(durationMs).default(1000, "1s"))
    .option("-c, --count <n>", "end after this many; default: when interrupted, or at q", wholeNumber(1));
}

/**
 * Shows what `frame` makes of each reading and the one before it. @param read takes one
 * @param frame gives the object that is printed as JSON and the text for people
 */
export async function showLive<Reading>(
  io: Io,
  { output, interval, count = Number.POSITIVE_INFINITY }: LiveOptions,
  read: () => Promise<Reading>,
  frame: (before: Reading, after: Reading) => { json: unknown; text: () => string },
): Promise<void> {
  await untilInterrupted(io, async (interrupted, interrupt) => {
    const run = async (show: (shown: ReturnType<typeof frame>) => void) => {
      let before = await read();
      for (let shown = 0; shown < count && (await passed(interval, interrupted)); shown++) {
        const after = await read();
        show(frame(before, after));
        before = after;
      }
    };
    if (output === "json") await run(({ json }) => io.out(JSON.stringify(json)));
    else await withScreen(io, interrupt, (show) => run(({ text }) => show(text())));
  });
}

/** False when the signal was aborted before the time was over. */
async function passed(ms: number, signal: AbortSignal): Promise<boolean> {
  return pause(ms, true, { signal }).catch((error: unknown) => {
    if (signal.aborted) return false;
    throw error;
  });
}
