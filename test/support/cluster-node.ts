import { mkdirSync } from "node:fs";
import { credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import {
  CNI_ERROR_KEY,
  type CniCallName,
  type CniCalls,
  cniService,
  decodeCniError,
} from "@sluice/host/dist/agent/cni/protocol.js";
import { DataplaneClient } from "@sluice/host/dist/dataplane/client.js";
import type { StatusResponse } from "@sluice/host/dist/dataplane/protocol.js";
import type { FaultPoint } from "@sluice/host/dist/fault.js";
import type { Cleanup } from "./cleanup.js";
import { root } from "./dataplane.js";
import type { Namespace } from "./namespace.js";
import { Background, eventually } from "./process.js";
import { flowFile } from "./topology.js";

const SLUICE = [process.execPath, `${root}/host/bin/sluice.js`];
const READY_MS = 40_000;

export interface ClusterNodeOptions {
  /** The Node's name in the cluster. */
  readonly name: string;
  readonly namespace: Namespace;
  /** Made on first use; short, as sockets are in it. */
  readonly folder: string;
  /** Of etcd, in the test's own namespace. */
  readonly etcd: string;
  /** Of `sluice agent`, besides what every node has. */
  readonly flags?: readonly string[];
}

/** A CNI call that was refused. */
export class CniRefusal extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

/** A node of a cluster as processes: its dataplane and its agent, in a network namespace. */
export class ClusterNode {
  readonly name: string;
  readonly namespace: Namespace;
  #dataplane: Background | undefined;
  #agent: Background | undefined;
  #cni: InstanceType<ReturnType<typeof cniService>> | undefined;
  #client: DataplaneClient | undefined;

  constructor(
    private readonly options: ClusterNodeOptions,
    private readonly cleanup: Cleanup,
  ) {
    this.name = options.name;
    this.namespace = options.namespace;
    mkdirSync(options.folder, { recursive: true });
    flowFile(cleanup, `sluice-${this.name}`);
    cleanup.defer(`clients of ${this.name}`, () => {
      this.#cni?.close();
      this.#client?.close();
    });
  }

  get agentRuns(): boolean {
    return this.#agent?.running ?? false;
  }

  get agentPid(): number {
    return this.#agent?.pid ?? 0;
  }

  /** etcd is reached by a way of its own, as a management network would be: what is tested is not in it. */
  relayEtcd(): void {
    const { etcd, folder, namespace } = this.options;
    const relay = `${folder}/etcd.sock`;
    const outside = new Background(["socat", `UNIX-LISTEN:${relay},fork,unlink-early`, `TCP:${new URL(etcd).host}`]);
    this.cleanup.defer(`etcd's relay of ${this.name}`, async () => {
      await outside.stop();
    });
    namespace.start(this.cleanup, ["socat", "TCP-LISTEN:2379,fork,reuseaddr,bind=127.0.0.1", `UNIX-CONNECT:${relay}`]);
  }

  startDataplane(): void {
    const { folder, name } = this.options;
    const argv = [...SLUICE, "dataplane", "--node", name, "--socket", this.#socket, "--state-dir", folder];
    this.#dataplane = this.namespace.start(this.cleanup, argv, { logFile: `${folder}/dataplane.log` });
  }

  /** @param dieAt a point of host/src/fault.ts */
  async startAgent(dieAt?: FaultPoint): Promise<void> {
    const { folder, name, flags = [] } = this.options;
    const files = ["--dataplane", this.#socket, "--state-dir", folder, "--cni-socket", `${folder}/cni.sock`];
    const argv = [...SLUICE, "agent", "--node", name, "--etcd", "http://127.0.0.1:2379", ...files, ...flags];
    const env = dieAt === undefined ? {} : { SLUICE_DIE_AT: dieAt };
    const agent = this.namespace.start(this.cleanup, argv, { env, logFile: `${folder}/agent.log` });
    this.#agent = agent;
    await eventually(`the agent of ${name}`, READY_MS, async () => {
      if (!agent.running) throw new Error(`the agent ended: ${(await agent.ended).stderr}; see ${folder}/agent.log`);
      return (await this.probe("healthz")) ? true : undefined;
    });
  }

  /** Both, until the dataplane is as desired. */
  async start(): Promise<void> {
    this.relayEtcd();
    this.startDataplane();
    await this.startAgent();
    await this.ready();
  }

  async ready(timeoutMs = READY_MS): Promise<void> {
    await eventually(`${this.name} to be ready`, timeoutMs, async () =>
      (await this.probe("readyz")) ? true : undefined,
    );
  }

  /** Until the CNI says that it can add pods, which it can without etcd too. */
  async served(): Promise<void> {
    await eventually(`the CNI of ${this.name}`, READY_MS, async () =>
      this.cni("status", {}).then(
        () => true,
        () => undefined,
      ),
    );
  }

  async stopAgent(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.#agent?.stop(signal);
  }

  async stopDataplane(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.#dataplane?.stop(signal);
  }

  async status(): Promise<StatusResponse> {
    this.#client ??= new DataplaneClient(this.#socket);
    return this.#client.call("status", {}, 20_000);
  }

  async metrics(): Promise<string> {
    return this.namespace.must(["curl", "-sf", "http://127.0.0.1:9466/metrics"]);
  }

  /** @throws CniRefusal */
  async cni<Name extends CniCallName>(
    name: Name,
    request: CniCalls[Name][0],
    timeoutMs = 60_000,
  ): Promise<CniCalls[Name][1]> {
    this.#cni ??= new (cniService())(`unix:${this.options.folder}/cni.sock`, credentials.createInsecure(), {
      "grpc.max_reconnect_backoff_ms": 200,
      "grpc.initial_reconnect_backoff_ms": 50,
    });
    const client = this.#cni;
    return new Promise((resolve, reject) => {
      const call = (client as unknown as Record<string, CallMethod>)[name];
      call?.call(client, request, new Metadata(), { deadline: Date.now() + timeoutMs }, (error, response) => {
        if (error === null) return resolve(response as CniCalls[Name][1]);
        const [encoded] = error.metadata.get(CNI_ERROR_KEY);
        if (!Buffer.isBuffer(encoded)) return reject(error);
        const { code, message } = decodeCniError(encoded);
        reject(new CniRefusal(code, message));
      });
    });
  }

  private async probe(path: string): Promise<boolean> {
    const output = await this.namespace.run(["curl", "-sf", "-o", "/dev/null", `http://127.0.0.1:9466/${path}`]);
    return output.status === 0;
  }

  get #socket(): string {
    return `${this.options.folder}/dataplane.sock`;
  }
}

type CallMethod = (
  request: object,
  metadata: Metadata,
  options: { deadline: number },
  done: (error: ServiceError | null, response: unknown) => void,
) => void;
