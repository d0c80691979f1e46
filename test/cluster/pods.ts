import { eventually, type Output } from "../support/process.js";
import type { Cluster } from "./cluster.js";
import { HTTP_PORT, type PodPlan, serverPod, UDP_PORT } from "./workloads.js";

const READY_MS = 60_000;
const ANSWER_SECONDS = 3;

export type Family = "v4" | "v6";
export const FAMILIES = ["v4", "v6"] as const;

/** What a server says of a call: who answered, and from which address it was called. */
export interface Answer {
  server: string;
  client: string;
}

/** As it stands in a URL. */
export const host = (address: string): string => (address.includes(":") ? `[${address}]` : address);

/** A pod of serverPod() that is ready. */
export class Pod {
  private constructor(
    private readonly cluster: Cluster,
    readonly name: string,
    readonly node: string,
    readonly v4: string,
    readonly v6: string,
  ) {}

  /** Makes pods and waits until kubelet's probes have found all of them ready. */
  static async create(cluster: Cluster, ...plans: PodPlan[]): Promise<Pod[]> {
    await cluster.kubectl.apply(...plans.map(serverPod));
    return Promise.all(plans.map((plan) => Pod.#ready(cluster, plan)));
  }

  static async #ready(cluster: Cluster, { name, node }: PodPlan): Promise<Pod> {
    interface PodObject {
      status: { podIPs?: { ip: string }[]; conditions?: { type: string; status: string }[] };
    }
    try {
      return await eventually(`pod ${name} is Ready`, READY_MS, async () => {
        const { status } = await cluster.kubectl.json<PodObject>("get", "pod", name);
        const ready = status.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
        const [v4, v6] = (status.podIPs ?? []).map(({ ip }) => ip);
        return ready && v4 && v6 ? new Pod(cluster, name, node, v4, v6) : undefined;
      });
    } catch (error) {
      const { stdout } = await cluster.kubectl.run("describe", "pod", name);
      throw new Error(`${(error as Error).message}\n${stdout}`);
    }
  }

  /** The command line of `argv` in its container. */
  command(...argv: string[]): string[] {
    return this.cluster.kubectl.command("exec", this.name, "--", ...argv);
  }

  run(...argv: string[]): Promise<Output> {
    return this.cluster.kubectl.exec(this.name, ...argv);
  }

  /** Calls a server over HTTP; undefined when nobody answers within so many seconds. */
  async http(address: string, port = HTTP_PORT, seconds = ANSWER_SECONDS): Promise<Answer | undefined> {
    return answer(await this.run(...curl(address, port, seconds)));
  }

  /** Asks a server over UDP who it is; undefined when nobody answers within so many seconds. */
  async udp(address: string, port = UDP_PORT, seconds = ANSWER_SECONDS): Promise<string | undefined> {
    const query = `host=${encodeURIComponent(address)}&port=${port}&protocol=udp&request=hostname&tries=1`;
    const url = `http://127.0.0.1:${HTTP_PORT}/dial?${query}`;
    const { status, stdout } = await this.run("curl", "-gsS", "--max-time", String(seconds), url);
    return status === 0 ? (JSON.parse(stdout) as { responses?: string[] }).responses?.[0] : undefined;
  }

  /** How many of `count` echoes came back. */
  async ping(address: string, count = 3): Promise<number> {
    const { stdout } = await this.run("/bin/ping", "-c", String(count), "-i", "0.05", "-W", "2", address);
    return Number(/(\d+) received/.exec(stdout)?.[1] ?? 0);
  }

  async delete(): Promise<void> {
    await this.cluster.kubectl.must("delete", "pod", this.name, "--now");
  }
}

/** The arguments of curl that ask a server who it is and who called it. */
export function curl(address: string, port: number, seconds = ANSWER_SECONDS): string[] {
  const url = `http://${host(address)}:${port}`;
  const limits = ["--fail-early", "--max-time", String(seconds)];
  return ["curl", "-gsS", ...limits, "-w", "\\n", `${url}/hostname`, `${url}/clientip`];
}

/** What curl() printed: a line for each, the second one an address with its port. */
export function answer({ status, stdout }: Output): Answer | undefined {
  if (status !== 0) return undefined;
  const [server = "", client = ""] = stdout.split("\n");
  return { server, client: client.replace(/:\d+$/, "").replace(/^\[|\]$/g, "") };
}
