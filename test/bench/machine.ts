import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";

/** In a line, the machine that figures come from. */
export function thisMachine(): string {
  const [first] = cpus();
  const hugepages = Number(/^HugePages_Total:\s+(\d+)/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1] ?? 0);
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB, ${hugepages > 0 ? `${hugepages} hugepages` : "no hugepages"}`;
  return `${first?.model ?? "CPU unknown"}, ${cpus().length} cores, ${memory}, Linux ${release().split("-")[0]}`;
}
