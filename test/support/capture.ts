import { setTimeout as sleep } from "node:timers/promises";
import type { Cleanup } from "./cleanup.js";
import type { Namespace } from "./namespace.js";
import { type Background, eventually } from "./process.js";

const SETTLE_MS = 300;

/** A running tcpdump. */
export class Capture {
  constructor(private readonly program: Background) {}

  /** Ends the capture, once the last packets have come through the kernel's buffer. Returns tcpdump's text, a line a packet. */
  async stop(): Promise<string[]> {
    await sleep(SETTLE_MS);
    const output = await this.program.stop("SIGINT");
    return output.stdout.split("\n").filter(Boolean);
  }
}

/**
 * Captures what comes in and goes out of `device`, once it is sure to see the next packet. `filter`: pcap's language;
 * `options`: further ones of tcpdump.
 */
export async function capture(
  cleanup: Cleanup,
  namespace: Namespace,
  device: string,
  filter: string,
  options: readonly string[] = [],
): Promise<Capture> {
  const argv = ["tcpdump", "-n", "-l", "--immediate-mode", "-i", device, ...options, ...filter.split(" ")];
  const program = namespace.start(cleanup, argv);
  await eventually(`tcpdump on ${device} in ${namespace.name}`, 5_000, () =>
    program.stderr.includes("listening on") ? true : undefined,
  );
  return new Capture(program);
}
