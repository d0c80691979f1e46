import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../support/process.js";
import { cpuTime, threadOf } from "./cpu-time.js";

const PROMPT = "testpmd> ";
const READY_MS = 30_000;
const MEASURED_MS = 500;

/** DPDK's testpmd exchanging the MAC addresses of what it forwards between two devices. Returns ns of CPU time a packet. */
export async function testpmdMacswap(core: number, devices: readonly string[]): Promise<number> {
  const eal = ["--no-huge", "-m", "1024", "--no-pci", "--no-telemetry", "--no-shconf", "-l", `0,${core}`];
  const forwarding = ["-i", "--forward-mode=macswap", "--nb-cores=1", "--total-num-mbufs=65536"];
  const args = [...eal, ...devices.flatMap((device) => ["--vdev", device]), "--", ...forwarding];
  const child = spawn("dpdk-testpmd", args, { stdio: ["pipe", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const ended = once(child, "close");
  let prompts = 0;
  /** Returns when it asks for the next command. What commands print may come later, at its end at the latest. */
  const asked = () => {
    prompts++;
    return eventually("testpmd's prompt", READY_MS, () => {
      if (child.exitCode !== null) throw new Error(`testpmd ended: ${output.slice(-500)}`);
      return output.split(PROMPT).length > prompts || undefined;
    });
  };
  try {
    await asked();
    const worker = threadOf(child.pid as number, "worker");
    const before = cpuTime(worker);
    child.stdin.write("start\n");
    await asked();
    await sleep(MEASURED_MS);
    child.stdin.write("stop\n");
    await asked();
    const spent = cpuTime(worker) - before;
    child.stdin.write("quit\n");
    await ended;
    const packets = Number([...output.matchAll(/RX-packets: (\d+)/g)].at(-1)?.[1]); // the last are those of all ports
    if (!(packets > 0)) throw new Error(`testpmd forwarded nothing: ${output.slice(-500)}`);
    return spent / packets;
  } finally {
    if (child.exitCode === null) child.kill("SIGKILL");
  }
}
