import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCgroups } from "../support/cgroups.js";
import type { Cleanup } from "../support/cleanup.js";
import { root } from "../support/dataplane.js";
import { Namespace } from "../support/namespace.js";
import { Background, eventually, must, type Output, type RunOptions, run } from "../support/process.js";
import { DNS_SERVICE, nodeAddress, OUTSIDE, WIRE_PREFIX } from "./address-plan.js";
import { type Certificates, writeKubeconfig } from "./certificates.js";
import { children, Daemon, type DaemonPlan } from "./daemon.js";
import { IMAGES, KUBERNETES } from "./programs.js";
import { type Addresses, UPLINK, type Wire } from "./wire.js";

const SCRIPTS = `${root}/test/cluster/node`;
const IMAGE_NAMES = ["pause", "tools", "coredns"];
/** The command line of containerd's client, for what kubelet made. */
export const CTR = ["ctr", "--namespace", "k8s.io"];
const CONTAINERD_SOCKET = "/run/containerd/containerd.sock";
const UP_MS = 30_000;
const READY_MS = 90_000;
/** Plugins of Debian's: containerd itself runs `loopback` for every pod. */
const REFERENCE_PLUGINS = "/usr/lib/cni";

export interface NodePlan {
  number: number;
  /** Of the network namespace and the cgroups. */
  machineName: string;
  folder: string;
  certificates: Certificates;
  wire: Wire;
}

/** A machine of the cluster's: namespaces of every kind, cgroups, containerd and kubelet. */
export class ClusterNode {
  readonly containerd: Daemon;
  readonly kubelet: Daemon;
  readonly daemons: Daemon[] = [];
  /** On its interface, and of the Node. */
  addresses: Addresses;

  private constructor(
    readonly number: number,
    readonly namespace: Namespace,
    readonly folder: string,
    private readonly initPid: number,
    kubeconfig: string,
  ) {
    this.addresses = nodeAddress(number);
    const configuration = this.#write("kubelet.json", kubeletConfig(folder));
    this.containerd = this.daemon({
      name: "containerd",
      argv: ["containerd", "--config", this.#write("containerd.toml", CONTAINERD_CONFIG)],
      ready: async () => (await this.run(["ctr", "version"])).status === 0,
      readyMs: READY_MS,
    });
    this.kubelet = this.daemon({
      name: "kubelet",
      argv: () => [
        ...[KUBERNETES, "kubelet", `--config=${configuration}`, `--kubeconfig=${kubeconfig}`],
        ...[`--hostname-override=${this.name}`, `--node-ip=${Object.values(this.addresses).join(",")}`],
      ],
      ready: async () => (await this.run(["curl", "-sf", "http://127.0.0.1:10248/healthz"])).status === 0,
      readyMs: READY_MS,
    });
  }

  /** Its namespaces and containerd, with the images; kubelet is not started yet. */
  static async create(cleanup: Cleanup, plan: NodePlan): Promise<ClusterNode> {
    const { number, machineName, folder, certificates, wire } = plan;
    mkdirSync(join(folder, "data"), { recursive: true });
    const groups = createCgroups(cleanup, machineName);
    const namespace = await Namespace.create(cleanup, machineName);
    await wire.plug(namespace, nodeName(number), nodeAddress(number));
    await wire.routeOutside(namespace);
    await namespace.sysctl({ "net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1 });
    const identity = await certificates.client(nodeName(number), `system:node:${nodeName(number)}`, "system:nodes");
    const kubeconfig = join(folder, "kubelet.kubeconfig");
    writeKubeconfig(kubeconfig, certificates.authority, identity);
    writeFileSync(join(folder, "ca.crt"), readFileSync(certificates.authority.certificate));
    const init = await startInit(cleanup, { number, namespace, folder, groups });
    const node = new ClusterNode(number, namespace, folder, init, kubeconfig);
    await node.containerd.start();
    await node.#prepare();
    return node;
  }

  get name(): string {
    return nodeName(this.number);
  }

  /** A program of this node's; it ends with the node. */
  daemon(plan: DaemonPlan): Daemon {
    const daemon = new Daemon(plan, (argv) => this.command(argv), this.folder);
    this.daemons.push(daemon);
    return daemon;
  }

  /** The command line of `argv` on this node. */
  command(argv: readonly string[]): string[] {
    const into = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"];
    return ["nsenter", `--target=${this.initPid}`, ...into, "--", "sh", `${SCRIPTS}/enter.sh`, ...argv];
  }

  run(argv: readonly string[], options: RunOptions = {}): Promise<Output> {
    return run(this.command(argv), options);
  }

  must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    return must(this.command(argv), options);
  }

  /** Writes a file on the node, in a folder that is made where it lacks. */
  async writeFile(path: string, text: string): Promise<void> {
    await this.must(["sh", "-c", 'mkdir -p "$(dirname "$1")" && cat > "$1"', "sh", path], { input: text });
  }

  /** Gives it other addresses, with routes kept, and restarts kubelet with them. */
  async readdress(addresses: Addresses): Promise<void> {
    await this.must(["sysctl", "-q", "-w", `net.ipv4.conf.${UPLINK}.promote_secondaries=1`]);
    for (const family of ["v4", "v6"] as const) {
      const change = (verb: string, address: string) =>
        this.must(["ip", "address", verb, `${address}/${WIRE_PREFIX[family]}`, "dev", UPLINK]);
      await change("add", addresses[family]);
      await change("del", this.addresses[family]);
    }
    this.addresses = addresses;
    await this.kubelet.restart();
  }

  async #prepare(): Promise<void> {
    await this.writeFile("/etc/resolv.conf", `nameserver ${OUTSIDE.v4}\n`);
    await this.must(["mkdir", "-p", "/opt/cni/bin", "/etc/cni/net.d"]);
    await this.must(["ln", "-s", `${REFERENCE_PLUGINS}/loopback`, "/opt/cni/bin/loopback"]);
    for (const image of IMAGE_NAMES) await this.importImage(`${IMAGES}/${image}.tar`);
  }

  /** Makes the images of an archive known to containerd. */
  async importImage(archive: string): Promise<void> {
    await this.must([...CTR, "images", "import", archive], { timeoutMs: 120_000 });
  }

  #write(name: string, text: string): string {
    const file = join(this.folder, name);
    writeFileSync(file, text);
    return file;
  }
}

export const nodeName = (number: number): string => `node${number}`;

interface InitPlan {
  number: number;
  namespace: Namespace;
  folder: string;
  groups: string[];
}

/** Starts process 1 of a node's namespaces, and returns its id as this machine sees it. With it all of the node ends. */
async function startInit(cleanup: Cleanup, { number, namespace, folder, groups }: InitPlan): Promise<number> {
  const logFile = join(folder, "init.log");
  const unshare = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--fork", "--kill-child"];
  const outer = new Background(
    [
      ...["sh", `${SCRIPTS}/join.sh`, ...groups, "--", "nsenter", `--net=${namespace.path}`, ...unshare],
      ...["sh", `${SCRIPTS}/init.sh`, nodeName(number), folder],
    ],
    { logFile },
  );
  cleanup.defer(`processes of ${nodeName(number)}`, async () => {
    await outer.stop("SIGKILL");
  });
  const log = () => (existsSync(logFile) ? readFileSync(logFile, "utf8") : "");
  await eventually(`${nodeName(number)} is up`, UP_MS, () => {
    if (!outer.running) throw new Error(`${nodeName(number)} did not come up:\n${log()}`);
    return /^ready$/m.test(log()) ? true : undefined;
  });
  const [init] = children(outer.pid);
  if (init === undefined) throw new Error(`${nodeName(number)} ended:\n${log()}`);
  return init;
}

// Without CAP_SYS_RESOURCE, as in many containers, no process may be made less likely to be killed than its parent.
const CONTAINERD_CONFIG = `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "sluice.test/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
`;

function kubeletConfig(folder: string): string {
  return JSON.stringify({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    authentication: { anonymous: { enabled: false }, x509: { clientCAFile: join(folder, "ca.crt") } },
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    cgroupDriver: "cgroupfs",
    failCgroupV1: false,
    failSwapOn: false,
    clusterDomain: "cluster.local",
    clusterDNS: Object.values(DNS_SERVICE),
    maxPods: 250,
    serializeImagePulls: false,
    // The machine's disk is not this node's to tidy up.
    imageGCHighThresholdPercent: 100,
    evictionHard: { "memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%" },
  });
}
