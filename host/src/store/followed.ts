import { mkdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { z } from "zod";
import { writeDurably } from "../durable-file.js";
import { messageOf, SluiceError, systemCode } from "../errors.js";
import type { KubeApi, NamespacedName } from "../kube/api.js";
import type { EtcdTls } from "./connection.js";
import { EtcdStore } from "./etcd-store.js";

/** Where Sluice's etcd is, as a command was told. */
export interface EtcdSource {
  readonly at: EtcdPlace;
  readonly tls?: EtcdTls;
}

export type EtcdPlace =
  | { readonly endpoints: readonly string[] }
  /** Found by the API: for nodes that have neither cluster DNS nor service addresses, before Sluice runs. */
  | { readonly service: NamespacedName; readonly kubeconfig?: string };

export interface FollowOptions {
  /** What was found last, for a start while the API is away. */
  readonly file?: string;
  readonly log: Logger;
}

/** Of the service. */
const PORT = "client";
/** How often certificates are looked at: kubelet brings a renewed one within a minute or two. */
const LOOK_MS = 2000;

const fileSchema = z.array(z.string());

/** Sluice's etcd, followed to where it is and with the certificates that are there now. */
export class FollowedEtcd {
  readonly store: EtcdStore;
  private endpoints: readonly string[];
  private certificates: readonly string[];
  private readonly stopping = new AbortController();
  private readonly ended: Promise<unknown>;

  private constructor(
    private readonly source: EtcdSource,
    private readonly options: FollowOptions,
    start: { endpoints: readonly string[]; certificates: readonly string[] },
    api: KubeApi | undefined,
  ) {
    this.endpoints = start.endpoints;
    this.certificates = start.certificates;
    this.store =
      this.endpoints.length === 0 && "service" in source.at ? EtcdStore.unplaced() : EtcdStore.open(this.now());
    this.ended = Promise.all([this.followService(api), this.followCertificates()]);
    this.ended.catch(() => undefined); // thrown by close()
  }

  /** Waits neither for etcd nor for the API. @throws SluiceError "etcd-endpoint", "etcd-tls", "kubeconfig" */
  static async open(source: EtcdSource, options: FollowOptions): Promise<FollowedEtcd> {
    const { at } = source;
    const endpoints = "endpoints" in at ? at.endpoints : await readEndpoints(options);
    const certificates = await readCertificates(source.tls);
    const api = "service" in at ? await loadApi(at.kubeconfig) : undefined;
    return new FollowedEtcd(source, options, { endpoints, certificates }, api);
  }

  /** Closes the store too. */
  async close(): Promise<void> {
    this.stopping.abort();
    await this.ended;
    await this.store.close();
  }

  private now() {
    const { at, tls } = this.source;
    if ("endpoints" in at) return { endpoints: at.endpoints, ...(tls === undefined ? {} : { tls }) };
    const scheme = tls === undefined ? "http" : "https";
    const endpoints = this.endpoints.map((endpoint) => `${scheme}://${endpoint}`);
    // Its certificate has the service's name: addresses come and go.
    const serverName = `${at.service.name}.${at.service.namespace}.svc`;
    return { endpoints, ...(tls === undefined ? {} : { tls: { serverName, ...tls } }) };
  }

  private async followService(api: KubeApi | undefined): Promise<void> {
    const { at } = this.source;
    if (api === undefined || !("service" in at)) return;
    const { log } = this.options;
    const { service } = at;
    const handler = {
      changed: (endpoints: readonly string[]) => {
        // One that is starting again is where it was.
        if (endpoints.length === 0) return log.warn({ service }, "etcd's service has no endpoint; the last ones stay");
        if (isDeepStrictEqual(endpoints, this.endpoints)) return;
        this.endpoints = endpoints;
        this.use("etcd is elsewhere");
        this.keep(endpoints);
      },
      failed: ({ problems }: SluiceError) =>
        log.warn({ service, problems }, "the API does not say where etcd is; the last endpoints stay"),
    };
    const { followEndpoints } = await import("../kube/service-endpoints.js");
    await followEndpoints(api, service, PORT, handler, this.stopping.signal);
  }

  private async followCertificates(): Promise<void> {
    const { tls } = this.source;
    const { signal } = this.stopping;
    while (tls !== undefined && !signal.aborted) {
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
      const found = await readCertificates(tls).catch((error: unknown) => {
        this.options.log.warn({ err: error }, "etcd's certificates can't be read; the last ones stay");
        return this.certificates;
      });
      if (signal.aborted || isDeepStrictEqual(found, this.certificates)) continue;
      this.certificates = found;
      this.use("the certificates for etcd are others");
    }
  }

  private use(why: string): void {
    try {
      this.store.use(this.now());
      this.options.log.info({ etcd: this.store.endpoints }, why);
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      this.options.log.error({ problems: error.problems }, `${why}, but that can't be used; the last ones stay`);
    }
  }

  private keep(endpoints: readonly string[]): void {
    const { file, log } = this.options;
    if (file === undefined) return;
    const written = mkdir(dirname(file), { recursive: true, mode: 0o700 }).then(() =>
      writeDurably(file, JSON.stringify(endpoints)),
    );
    written.catch((error: unknown) => log.error({ file, err: error }, "etcd's endpoints can't be kept"));
  }
}

/** Loaded only where it is used: the Kubernetes client is 30 MB of heap. */
async function loadApi(kubeconfig: string | undefined): Promise<KubeApi> {
  const { KubeApi } = await import("../kube/api.js");
  return KubeApi.load(kubeconfig);
}

/** Of the last time; a file that can't be read is worth no more than none. */
async function readEndpoints({ file, log }: FollowOptions): Promise<readonly string[]> {
  if (file === undefined) return [];
  try {
    return fileSchema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch (error) {
    if (systemCode(error) !== "ENOENT") log.warn({ file, err: error }, "etcd's last endpoints can't be read");
    return [];
  }
}

async function readCertificates(tls: EtcdTls | undefined): Promise<readonly string[]> {
  const files = [tls?.ca, tls?.cert, tls?.key].filter((file) => file !== undefined);
  return Promise.all(
    files.map((file) =>
      readFile(file, "utf8").catch((error: unknown) => {
        throw SluiceError.of("etcd-tls", file, messageOf(error), { cause: error });
      }),
    ),
  );
}
