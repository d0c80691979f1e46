import { readdirSync, readFileSync } from "node:fs";
import { KUBERNETES } from "../cluster/programs.js";
import type { Cleanup } from "../support/cleanup.js";
import { root } from "../support/dataplane.js";
import { EtcdServer } from "../support/etcd.js";
import { ApiServer, pathOf } from "../support/kube-api.js";
import { Background, eventually } from "../support/process.js";
import { POOLS } from "./synthetic.js";

/** At the size of a large cluster, on a machine that does other things. */
export const SYNC_MS = 900_000;

/** One reflector as a process, timed from its start. */
export class ReflectorProcess {
  readonly #program: Background;
  readonly #port: string;
  readonly #started: number;
  /** Of the whole run, once it has ended. */
  peakMiB = 0;
  cpuSeconds = 0;

  private constructor(program: Background, port: string, started: number) {
    this.#program = program;
    this.#port = port;
    this.#started = started;
  }

  static async start(api: ApiServer, etcd: EtcdServer, cleanup: Cleanup): Promise<ReflectorProcess> {
    const started = performance.now();
    const flags = ["--kubeconfig", api.kubeconfig("reflector"), "--listen", "127.0.0.1:0", "-o", "json"];
    const program = new Background([`${root}/host/bin/sluice.js`, "reflector", "--etcd", etcd.endpoint, ...flags]);
    cleanup.defer("a reflector", async () => void (await program.stop()));
    const port = await eventually("the reflector's port", 60_000, () => {
      if (!program.running) throw new Error(`the reflector ended:\n${program.stderr}`);
      return /"port":(\d+)/.exec(program.stdout)?.[1];
    });
    return new ReflectorProcess(program, port, started);
  }

  async synced(): Promise<void> {
    await eventually("the reflector in step", SYNC_MS, async () => {
      if (!this.#program.running) throw new Error(`the reflector ended:\n${this.#program.stderr.slice(-3000)}`);
      // No answer: it is busy, or has just ended, which the next look tells.
      const text = await fetch(`http://127.0.0.1:${this.#port}/metrics`).then(
        (answer) => answer.text(),
        () => "",
      );
      return /^sluice_reflector_synced 1$/m.test(text) && /^sluice_reflector_pending_writes 0$/m.test(text)
        ? true
        : undefined;
    });
  }

  seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  memory(field: "VmHWM" | "VmRSS"): number {
    const status = readFileSync(`/proc/${this.#program.pid}/status`, "utf8");
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
  }

  async stop(): Promise<void> {
    this.peakMiB = this.memory("VmHWM");
    this.cpuSeconds = cpuSeconds(this.#program.pid);
    await this.#program.stop();
  }
}

/** User and system time of a process, in hundredths by the kernel's clock. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Its resources, the rights of its reflector, and pools. */
async function installSluice(api: ApiServer): Promise<void> {
  for (const file of readdirSync(`${root}/deploy/crds`)) await api.makeFrom(`${root}/deploy/crds/${file}`);
  await api.makeFrom(`${root}/deploy/manifests/reflector-rbac.yaml`);
  const kind = { apiVersion: "sluice.dev/v1alpha1", kind: "IPPool" };
  await eventually("Sluice's resources", 60_000, async () =>
    (await api.call("GET", pathOf({ ...kind, metadata: { name: "" } }))).status === 200 ? true : undefined,
  );
  for (const { name, cidr } of POOLS) await api.make({ ...kind, metadata: { name }, spec: { cidr } });
}

/** A real API server that knows Sluice's resources, with an etcd of its own, and Sluice's etcd. */
export interface ControlPlane {
  readonly api: ApiServer;
  readonly etcd: EtcdServer;
}

interface ControlPlaneOptions {
  /** Flags of the API server's etcd, and of Sluice's. */
  readonly kubeEtcdFlags?: readonly string[];
  readonly etcdFlags?: readonly string[];
  /** Writes into the API server's etcd before it starts. */
  readonly fill?: (endpoint: string) => Promise<unknown>;
}

export async function startControlPlane(
  cleanup: Cleanup,
  { kubeEtcdFlags = [], etcdFlags = [], fill }: ControlPlaneOptions = {},
): Promise<ControlPlane> {
  const program = [KUBERNETES, "etcd"];
  const kubeEtcd = await EtcdServer.start({ program, flags: kubeEtcdFlags });
  cleanup.defer("the API server's etcd", () => kubeEtcd.stop());
  const etcd = await EtcdServer.start({ program, flags: etcdFlags });
  cleanup.defer("Sluice's etcd", () => etcd.stop());
  await fill?.(kubeEtcd.endpoint);
  const api = await ApiServer.start(KUBERNETES, kubeEtcd);
  cleanup.defer("the API server", () => api.stop());
  await installSluice(api);
  return { api, etcd };
}
