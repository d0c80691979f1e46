import { readFile } from "node:fs/promises";
import type { Namespace } from "./namespace.js";
import { must } from "./process.js";

/** Processes that wait for a dataplane's end in a node's namespace, to give its interface back. */
export async function uplinkGuards(node: Namespace): Promise<number[]> {
  const pids = (await must(["ip", "netns", "pids", node.name])).split("\n").filter(Boolean).map(Number);
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
  return pids.filter((_, index) => lines[index]?.includes("\0guard\0"));
}
