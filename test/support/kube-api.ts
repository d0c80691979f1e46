import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { type EtcdServer, freePorts } from "./etcd.js";
import { Background, eventually, must } from "./process.js";

const READY_MS = 400_000;

/** Who may speak to it, by token. */
const USERS = {
  admin: { user: "admin", group: "system:masters" },
  reflector: { user: "system:serviceaccount:kube-system:sluice-reflector", group: "system:authenticated" },
} as const;

export type ApiUser = keyof typeof USERS;

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
  readonly [field: string]: unknown;
}

/** Where the objects of a kind are. */
export function pathOf({ apiVersion, kind, metadata: { namespace } }: Manifest): string {
  const group = apiVersion === "v1" ? "/api/v1" : `/apis/${apiVersion}`;
  const plural = kind.toLowerCase().replace(/y$/, "ie");
  return `${group}${namespace === undefined ? "" : `/namespaces/${namespace}`}/${plural}s`;
}

/** A real API server without the rest of a control plane: what is made stays as it is made. */
export class ApiServer {
  readonly url: string;
  readonly #program: string;
  readonly #folder: string;
  readonly #etcd: EtcdServer;
  readonly #port: number;
  readonly #agent = new Agent({ rejectUnauthorized: false });
  #process: Background | undefined;

  private constructor(program: string, folder: string, etcd: EtcdServer, port: number) {
    this.#program = program;
    this.#folder = folder;
    this.#etcd = etcd;
    this.#port = port;
    this.url = `https://127.0.0.1:${port}`;
  }

  /** @param program Kubernetes as one program */
  static async start(program: string, etcd: EtcdServer): Promise<ApiServer> {
    const folder = await mkdtemp(join(tmpdir(), "kube-api-test-"));
    const [port = 0] = await freePorts(1);
    const server = new ApiServer(program, folder, etcd, port);
    await server.#makeFiles();
    await server.start();
    return server;
  }

  get pid(): number {
    if (this.#process === undefined) throw new Error("the API server does not run");
    return this.#process.pid;
  }

  /** Starts it, again after kill(), and waits until it is ready. */
  async start(): Promise<void> {
    const program = new Background([this.#program, "kube-apiserver", ...this.#flags()]);
    this.#process = program;
    await eventually("the API server", READY_MS, async () => {
      if (!program.running) throw new Error(`the API server ended:\n${program.stderr.slice(-3000)}`);
      const answer = await this.call("GET", "/readyz").catch(() => undefined);
      return answer?.status === 200 ? true : undefined;
    });
  }

  async kill(): Promise<void> {
    await this.#process?.stop("SIGKILL");
    this.#process = undefined;
  }

  async stop(): Promise<void> {
    await this.kill();
    this.#agent.destroy();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** The path of a kubeconfig. */
  kubeconfig(user: ApiUser): string {
    return join(this.#folder, `${user}.kubeconfig`);
  }

  /** One request as the administrator. */
  call(
    method: string,
    path: string,
    body?: object,
    type = "application/json",
  ): Promise<{ status: number; body: string }> {
    const headers = { authorization: "Bearer admin", "content-type": type };
    return new Promise((resolve, reject) => {
      const sent = request(
        `${this.url}${path}`,
        { method, headers, agent: this.#agent, timeout: 30_000 },
        (response) => {
          let text = "";
          response.setEncoding("utf8").on("data", (piece: string) => {
            text += piece;
          });
          response.once("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
          response.once("error", reject);
        },
      );
      sent.once("error", reject).once("timeout", () => sent.destroy(new Error(`${method} ${path}: no answer`)));
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** As call(), with an error unless it is done. */
  async must<T>(method: string, path: string, body?: object, type?: string): Promise<T> {
    const answer = await this.call(method, path, body, type);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
    return JSON.parse(answer.body) as T;
  }

  /** Makes an object, where it is not there yet. */
  async make(object: Manifest): Promise<void> {
    const answer = await this.call("POST", pathOf(object), object);
    if (answer.status >= 300 && answer.status !== 409)
      throw new Error(`${object.kind} ${object.metadata.name}: ${answer.body}`);
  }

  /** Makes all objects of a YAML file. */
  async makeFrom(file: string): Promise<void> {
    for (const document of parseAllDocuments(await readFile(file, "utf8"))) await this.make(document.toJS());
  }

  async #makeFiles(): Promise<void> {
    const tokens = Object.entries(USERS).map(([token, { user, group }]) => `${token},${user},${token},"${group}"`);
    await writeFile(join(this.#folder, "tokens.csv"), `${tokens.join("\n")}\n`);
    await must(["openssl", "genrsa", "-out", join(this.#folder, "service-accounts.key"), "2048"]);
    for (const token of Object.keys(USERS) as ApiUser[]) {
      await writeFile(this.kubeconfig(token), JSON.stringify(kubeconfigOf(this.url, token)));
    }
  }

  #flags(): string[] {
    const key = join(this.#folder, "service-accounts.key");
    const flags = {
      "etcd-servers": this.#etcd.endpoint,
      "bind-address": "127.0.0.1",
      "secure-port": this.#port,
      "cert-dir": join(this.#folder, "certificates"),
      "token-auth-file": join(this.#folder, "tokens.csv"),
      "authorization-mode": "RBAC",
      "service-account-issuer": "https://kubernetes.default.svc",
      "service-account-key-file": key,
      "service-account-signing-key-file": key,
      "service-cluster-ip-range": "10.96.0.0/16,fd00:96::/112",
      // Pods need no account that a controller would have made.
      "disable-admission-plugins": "ServiceAccount",
      "shutdown-delay-duration": "0s",
    };
    return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  }
}

function kubeconfigOf(server: string, token: string): object {
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: token, user: { token } }],
    contexts: [{ name: "test", context: { cluster: "test", user: token } }],
    "current-context": "test",
  };
}
