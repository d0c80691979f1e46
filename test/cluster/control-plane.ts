import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Namespace } from "../support/namespace.js";
import { API_PORT, CONTROL, KUBERNETES_ETCD, SERVICE_CIDRS, SLUICE_ETCD_PORT } from "./address-plan.js";
import { type Certificates, type Identity, writeKubeconfig } from "./certificates.js";
import { Daemon, type DaemonPlan } from "./daemon.js";
import { Kubectl } from "./kubectl.js";
import { KUBERNETES } from "./programs.js";

const READY_MS = 90_000;
const PEER_PORT_STEP = 1;

/** etcd, the API server, the controller manager and the scheduler, in one network namespace; an etcd of Sluice's beside them where it is started. */
export class ControlPlane {
  readonly etcd: Daemon;
  readonly apiServer: Daemon;
  readonly controllerManager: Daemon;
  readonly scheduler: Daemon;
  readonly sluiceEtcd: Daemon;
  readonly kubectl: Kubectl;
  readonly daemons: Daemon[] = [];

  private constructor(
    readonly namespace: Namespace,
    readonly folder: string,
    readonly certificates: Certificates,
    private readonly files: ControlPlaneFiles,
  ) {
    this.kubectl = new Kubectl(namespace, files.adminConfig);
    // What Kubernetes keeps is made anew with every cluster; Sluice's own etcd writes as it does in earnest.
    this.etcd = this.daemon(
      etcdPlan("etcd", 2379, folder, ["--unsafe-no-fsync"], this.serves("127.0.0.1:2379/health")),
    );
    this.sluiceEtcd = this.daemon(
      etcdPlan("sluice-etcd", SLUICE_ETCD_PORT, folder, [], this.serves(`127.0.0.1:${SLUICE_ETCD_PORT}/health`)),
    );
    this.apiServer = this.daemon({
      name: "kube-apiserver",
      argv: [KUBERNETES, "kube-apiserver", ...apiServerFlags(certificates.authority, files)],
      ready: async () => (await this.kubectl.run("get", "--raw", "/readyz")).status === 0,
      readyMs: READY_MS,
    });
    this.controllerManager = this.daemon({
      name: "kube-controller-manager",
      argv: [
        ...[KUBERNETES, "kube-controller-manager", `--kubeconfig=${files.controllerManagerConfig}`],
        ...["--use-service-account-credentials", `--root-ca-file=${certificates.authority.certificate}`],
        ...[`--service-account-private-key-file=${files.serviceAccountKey}`, "--leader-elect=false"],
      ],
      ready: this.serves("127.0.0.1:10257/healthz", "https"),
      readyMs: READY_MS,
    });
    this.scheduler = this.daemon({
      name: "kube-scheduler",
      argv: [KUBERNETES, "kube-scheduler", `--kubeconfig=${files.schedulerConfig}`, "--leader-elect=false"],
      ready: this.serves("127.0.0.1:10259/healthz", "https"),
      readyMs: READY_MS,
    });
  }

  static async start(namespace: Namespace, folder: string, certificates: Certificates): Promise<ControlPlane> {
    mkdirSync(folder, { recursive: true });
    const plane = new ControlPlane(namespace, folder, certificates, await makeFiles(folder, certificates));
    await plane.etcd.start();
    await plane.apiServer.start();
    await Promise.all([plane.controllerManager.start(), plane.scheduler.start()]);
    return plane;
  }

  /** A program beside the control plane; it ends with it. */
  daemon(plan: DaemonPlan): Daemon {
    const daemon = new Daemon(plan, (argv) => this.namespace.command(argv), this.folder);
    this.daemons.push(daemon);
    return daemon;
  }

  /** A kubeconfig of the administrator's, for a client that reaches the API server at `url`. */
  writeAdminConfig(file: string, url: string): void {
    writeKubeconfig(file, this.certificates.authority, this.files.admin, url);
  }

  /** Asks a server of the control plane for `url`, without the scheme, and says whether it answers well. */
  serves(url: string, scheme = "http"): () => Promise<boolean> {
    const argv = ["curl", "-skf", "--max-time", "2", "-o", "/dev/null", `${scheme}://${url}`];
    return async () => (await this.namespace.run(argv)).status === 0;
  }
}

interface ControlPlaneFiles {
  apiServer: Identity;
  kubeletClient: Identity;
  serviceAccountKey: string;
  admin: Identity;
  adminConfig: string;
  controllerManagerConfig: string;
  schedulerConfig: string;
}

async function makeFiles(folder: string, certificates: Certificates): Promise<ControlPlaneFiles> {
  const config = async (name: string, identity: Promise<Identity>) => {
    const file = join(folder, `${name}.kubeconfig`);
    writeKubeconfig(file, certificates.authority, await identity);
    return file;
  };
  const admin = certificates.client("admin", "admin", "system:masters");
  const controllerManager = certificates.client("controller-manager", "system:kube-controller-manager");
  return {
    apiServer: await certificates.apiServer(),
    kubeletClient: await certificates.client("kubelet-client", "kube-apiserver", "system:masters"),
    serviceAccountKey: await certificates.serviceAccountKey(),
    admin: await admin,
    adminConfig: await config("admin", admin),
    controllerManagerConfig: await config("controller-manager", controllerManager),
    schedulerConfig: await config("scheduler", certificates.client("scheduler", "system:kube-scheduler")),
  };
}

function etcdPlan(
  name: string,
  port: number,
  folder: string,
  flags: string[],
  ready: () => Promise<boolean>,
): DaemonPlan {
  const clients = `http://0.0.0.0:${port}`;
  const peers = `http://127.0.0.1:${port + PEER_PORT_STEP}`;
  return {
    name,
    argv: [
      ...[KUBERNETES, "etcd", "--name", name, "--data-dir", join(folder, name)],
      ...["--listen-client-urls", clients, "--advertise-client-urls", clients],
      ...["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers],
      ...["--initial-cluster", `${name}=${peers}`, ...flags],
    ],
    ready,
    readyMs: READY_MS,
  };
}

function apiServerFlags(authority: Identity, files: ControlPlaneFiles): string[] {
  const flags = {
    "advertise-address": CONTROL.v4,
    "secure-port": API_PORT,
    "etcd-servers": KUBERNETES_ETCD,
    "service-cluster-ip-range": `${SERVICE_CIDRS.v4},${SERVICE_CIDRS.v6}`,
    "tls-cert-file": files.apiServer.certificate,
    "tls-private-key-file": files.apiServer.key,
    "client-ca-file": authority.certificate,
    "kubelet-client-certificate": files.kubeletClient.certificate,
    "kubelet-client-key": files.kubeletClient.key,
    "kubelet-preferred-address-types": "InternalIP",
    "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
    "service-account-key-file": files.serviceAccountKey,
    "service-account-signing-key-file": files.serviceAccountKey,
    "authorization-mode": "Node,RBAC",
    "enable-admission-plugins": "NodeRestriction",
    "allow-privileged": "true",
    "shutdown-delay-duration": "0s",
  };
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}
