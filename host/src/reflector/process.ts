import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { pino } from "pino";
import { Monitor } from "../http/monitor.js";
import { KubeApi } from "../kube/api.js";
import { signalled } from "../signals.js";
import type { EtcdTls } from "../store/connection.js";
import { EtcdStore } from "../store/etcd-store.js";
import { metricsOf } from "./metrics.js";
import { Reflector } from "./reflector.js";

export interface ReflectorProcessOptions {
  readonly etcd: readonly string[];
  readonly tls?: EtcdTls;
  /** Absent: that of the pod this runs in, or what kubectl would use. */
  readonly kubeconfig?: string;
  readonly leaseNamespace: string;
  /** "host:port" or ":port". */
  readonly listen: string;
  readonly logLevel: string;
  /** Called once probes are answered, with their port. */
  readonly onReady?: (port: number) => void;
}

/**
 * Runs a reflector until SIGINT or SIGTERM, then gives the Lease back.
 * @throws SluiceError when it can't start; what is away only is waited for
 */
export async function runReflector(options: ReflectorProcessOptions): Promise<void> {
  const identity = `${hostname()}_${randomUUID()}`;
  const log = pino({ level: options.logLevel, base: { reflector: identity } }, pino.destination({ fd: 2, sync: true }));
  const stopping = signalled(log);
  const api = KubeApi.load(options.kubeconfig);
  const store = EtcdStore.open({ endpoints: options.etcd, ...(options.tls === undefined ? {} : { tls: options.tls }) });
  const reflector = new Reflector({ api, store, leaseNamespace: options.leaseNamespace, identity, log });
  const metrics = metricsOf(reflector);
  try {
    const monitor = await Monitor.start({ listen: options.listen, metrics, unready: () => reflector.unready() });
    try {
      const end = new AbortController();
      log.info({ port: monitor.port, etcd: store.endpoints }, "started");
      options.onReady?.(monitor.port);
      void stopping.then(() => end.abort());
      await reflector.run(end.signal);
    } finally {
      await monitor.close();
    }
  } finally {
    await store.close();
  }
  log.info("stopped");
}
