import { existsSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cleanup } from "./cleanup.js";
import { Background, must, type Output, type RunOptions, run } from "./process.js";

const FOLDER = "/run/netns";

/** A network namespace with `lo` up. Its name carries the process id, so that left-overs of a killed run can be told. */
export class Namespace {
  private constructor(readonly name: string) {}

  /** Where `netns:` of a TAP port points to. */
  get path(): string {
    return `${FOLDER}/${this.name}`;
  }

  static async create(cleanup: Cleanup, name: string): Promise<Namespace> {
    const namespace = new Namespace(name);
    await must(["ip", "netns", "add", name]);
    cleanup.defer(`namespace ${name}`, () => removeNamespace(name));
    await namespace.ip("link", "set", "lo", "up");
    // Without duplicate address detection an address can be used at once.
    await namespace.sysctl({ "net.ipv6.conf.default.accept_dad": 0, "net.ipv6.conf.all.accept_dad": 0 });
    return namespace;
  }

  command(argv: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.name, ...argv];
  }

  /** Unlike with command(), mounts that the program makes are seen by all, and outlive it. */
  sharedCommand(argv: readonly string[]): string[] {
    return ["nsenter", `--net=${this.path}`, ...argv];
  }

  run(argv: readonly string[], options: RunOptions = {}): Promise<Output> {
    return run(this.command(argv), options);
  }

  must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    return must(this.command(argv), options);
  }

  ip(...args: string[]): Promise<string> {
    return must(["ip", "-n", this.name, ...args]);
  }

  async sysctl(settings: Record<string, string | number>): Promise<void> {
    await this.must(["sysctl", "-q", "-w", ...Object.entries(settings).map(([key, value]) => `${key}=${value}`)]);
  }

  /** Starts a program in the namespace; it is stopped by the clean-up at the latest. */
  start(
    cleanup: Cleanup,
    argv: readonly string[],
    options: { env?: Record<string, string>; logFile?: string; sharesMounts?: boolean } = {},
  ): Background {
    const command = options.sharesMounts === true ? this.sharedCommand(argv) : this.command(argv);
    const program = new Background(command, options);
    cleanup.defer(`${argv.join(" ")} in ${this.name}`, async () => {
      await program.stop();
    });
    return program;
  }
}

/** Joins two namespaces by a veth pair, up, without the offloads that a real wire does not have. */
export async function connect(a: Namespace, deviceA: string, b: Namespace, deviceB: string, mtu = 1500): Promise<void> {
  await a.ip(
    "link",
    "add",
    deviceA,
    "mtu",
    String(mtu),
    "type",
    "veth",
    "peer",
    "name",
    deviceB,
    "mtu",
    String(mtu),
    "netns",
    b.name,
  );
  for (const [namespace, device] of [
    [a, deviceA],
    [b, deviceB],
  ] as const) {
    await namespace.sysctl({ [`net.ipv6.conf.${device}.accept_dad`]: 0 });
    await namespace.must(["ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "off", "tx", "off"]);
    await namespace.ip("link", "set", device, "up");
  }
}

/** Deletes a namespace and ends what still runs in it. */
export async function removeNamespace(name: string): Promise<void> {
  if (!existsSync(`${FOLDER}/${name}`)) return;
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    const pids = (await must(["ip", "netns", "pids", name])).split("\n").filter(Boolean).map(Number);
    if (pids.length === 0) break;
    for (const pid of pids) signalIfThere(pid, signal);
    await sleep(200);
  }
  await must(["ip", "netns", "del", name]);
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

export function namespaces(): string[] {
  return existsSync(FOLDER) ? readdirSync(FOLDER).sort() : [];
}
