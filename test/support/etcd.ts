import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Background, eventually } from "./process.js";

const READY_MS = 30_000;

/** PEM files. */
export interface EtcdTlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface EtcdServerOptions {
  /** Debian's where absent. */
  readonly program?: readonly string[];
  /** Of etcd, added to those of this. */
  readonly flags?: readonly string[];
  /** Clients need a certificate of this CA. */
  readonly tls?: EtcdTlsFiles;
}

/** A real etcd of one member with a folder and ports of its own, which can be killed, started again and emptied. */
export class EtcdServer {
  readonly endpoint: string;
  readonly #health: string;
  readonly #folder: string;
  readonly #command: readonly string[];
  #process: Background | undefined;

  private constructor(
    folder: string,
    ports: { client: number; peer: number; health: number },
    { program = ["etcd"], flags = [], tls }: EtcdServerOptions,
  ) {
    const peer = `http://127.0.0.1:${ports.peer}`;
    this.endpoint = `${tls === undefined ? "http" : "https"}://127.0.0.1:${ports.client}`;
    this.#health = `http://127.0.0.1:${ports.health}`;
    this.#folder = folder;
    this.#command = [
      ...program,
      ...["--name", "test", "--data-dir", join(folder, "data")],
      ...["--listen-client-urls", this.endpoint, "--advertise-client-urls", this.endpoint],
      ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `test=${peer}`],
      ...["--listen-metrics-urls", this.#health],
      ...(tls === undefined
        ? []
        : ["--cert-file", tls.cert, "--key-file", tls.key, "--trusted-ca-file", tls.ca, "--client-cert-auth"]),
      ...["--logger", "zap", "--log-level", "error", "--unsafe-no-fsync", ...flags],
    ];
  }

  static async start(options: EtcdServerOptions = {}): Promise<EtcdServer> {
    const folder = await mkdtemp(join(tmpdir(), "etcd-test-"));
    const [client = 0, peer = 0, health = 0] = await freePorts(3);
    const server = new EtcdServer(folder, { client, peer, health }, options);
    await server.start();
    return server;
  }

  get pid(): number {
    if (this.#process === undefined) throw new Error("etcd does not run");
    return this.#process.pid;
  }

  /** What it counts, as Prometheus reads it. */
  async metrics(): Promise<string> {
    return (await fetch(`${this.#health}/metrics`)).text();
  }

  /** Starts it, again after kill(), and waits until it answers. */
  async start(): Promise<void> {
    const program = new Background(this.#command);
    this.#process = program;
    await eventually("etcd's health", READY_MS, async () => {
      if (!program.running) throw new Error(`etcd ended:\n${program.stderr}`);
      const answer = await fetch(`${this.#health}/health`).catch(() => undefined);
      return answer?.ok ? true : undefined;
    });
  }

  async kill(): Promise<void> {
    await this.#process?.stop("SIGKILL");
    this.#process = undefined;
  }

  /** Its data is gone; the next start makes a new one. */
  async empty(): Promise<void> {
    await this.kill();
    await rm(join(this.#folder, "data"), { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Forgets all revisions before the current one. */
  async compact(): Promise<void> {
    const call = async (path: string, body: object) => {
      const answer = await fetch(`${this.endpoint}/v3/kv/${path}`, { method: "POST", body: JSON.stringify(body) });
      if (!answer.ok) throw new Error(`etcd ${path}: ${await answer.text()}`);
      return (await answer.json()) as { header: { revision: string } };
    };
    const { header } = await call("range", { key: Buffer.from("/").toString("base64") });
    await call("compaction", { revision: header.revision, physical: true });
  }
}

/** Ports that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once("error", reject);
          server.once("listening", () => {
            const address = server.address();
            resolve(typeof address === "object" && address !== null ? address.port : 0);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
