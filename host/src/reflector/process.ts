import { pino } from "pino";
import { Monitor } from "../http/monitor.js";
import { KubeApi } from "../kube/api.js";
import { signalled } from "../signals.js";
import { type EtcdSource, FollowedEtcd } from "../store/followed.js";
import { metricsOf } from "./metrics.js";
import type { PluginLimits } from "./plugin-versions.js";
import { Reflector } from "./reflector.js";

export interface ReflectorProcessOptions {
  readonly etcd: EtcdSource;
  /** Absent: that of the pod this runs in, or what kubectl would use. */
  readonly kubeconfig?: string;
  readonly leaseNamespace: string;
  /** As LeaseOptions has it. */
  readonly identity: string;
  readonly pluginLimits: PluginLimits;
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
  const { identity } = options;
  const log = pino({ level: options.logLevel, base: { reflector: identity } }, pino.destination({ fd: 2, sync: true }));
  const stopping = signalled(log);
  const api = KubeApi.load(options.kubeconfig);
  const etcd = await FollowedEtcd.open(options.etcd, { log });
  const { store } = etcd;
  const { leaseNamespace, pluginLimits } = options;
  const reflector = new Reflector({ api, store, leaseNamespace, pluginLimits, identity, log });
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
    await etcd.close();
  }
  log.info("stopped");
}
