import { join } from "node:path";
import { pino } from "pino";
import { FolderLock } from "../dataplane/folder-lock.js";
import { defaultSocket, defaultStateDir } from "../dataplane/paths.js";
import type { StartSettings } from "../dataplane/start-file.js";
import { Monitor } from "../http/monitor.js";
import { signalled } from "../signals.js";
import type { EtcdStore } from "../store/etcd-store.js";
import { type EtcdSource, FollowedEtcd } from "../store/followed.js";
import { Agent } from "./agent.js";
import { serveCni } from "./cni/server.js";
import { cniHandlers } from "./cni/service.js";
import { keepHeapSmall } from "./heap.js";
import { AgentMetrics } from "./metrics.js";

export interface AgentProcessOptions {
  readonly node: string;
  readonly etcd: EtcdSource;
  /** The dataplane's socket; absent: the default for the node. */
  readonly dataplane?: string;
  readonly stateDir?: string;
  readonly cniSocket: string;
  /** "host:port" or ":port". */
  readonly listen: string;
  readonly serviceCidr: readonly string[];
  /** Milliseconds. */
  readonly coolDown: number;
  readonly logLevel: StartSettings["logLevel"];
  /** Called once the CNI is served. */
  readonly onReady?: (port: number) => void;
}

/**
 * Runs a node's agent until SIGINT or SIGTERM. Its end changes nothing on the node: packets flow on.
 * @throws SluiceError when it can't start; what is away only is waited for
 */
export async function runAgent(options: AgentProcessOptions): Promise<void> {
  keepHeapSmall();
  const { node, logLevel } = options;
  const log = pino({ level: logLevel, base: { node } }, pino.destination({ fd: 2, sync: true }));
  const stopping = signalled(log);
  const stateDir = options.stateDir ?? defaultStateDir(node);
  // Before anything is read: the addresses are one agent's at a time.
  const lock = await FolderLock.acquire(`${stateDir}/agent`);
  try {
    const etcd = await FollowedEtcd.open(options.etcd, { file: join(stateDir, "agent", "etcd.json"), log });
    try {
      await withAgent(etcd.store, options, log, stopping);
    } finally {
      await etcd.close();
    }
  } finally {
    await lock.release();
  }
  log.info("stopped");
}

async function withAgent(
  store: EtcdStore,
  options: AgentProcessOptions,
  log: pino.Logger,
  stopping: Promise<void>,
): Promise<void> {
  const { node, logLevel } = options;
  const agent = await Agent.open({
    node,
    store,
    stateDir: options.stateDir ?? defaultStateDir(node),
    logLevel,
    log,
    socket: options.dataplane ?? defaultSocket(node),
    isOwnStateDir: options.stateDir !== undefined,
    serviceCidrs: options.serviceCidr,
    coolDownMs: options.coolDown,
  });
  try {
    await serve(agent, options, log, stopping);
  } finally {
    await agent.close();
  }
}

async function serve(
  agent: Agent,
  options: AgentProcessOptions,
  log: pino.Logger,
  stopping: Promise<void>,
): Promise<void> {
  const metrics = new AgentMetrics(agent);
  const monitor = await Monitor.start({
    listen: options.listen,
    metrics: metrics.registry,
    unready: () => agent.unreadyReasons(),
    // Whatever the agent knows of the cluster, and however old that is.
    unserving: () => agent.unreadyReasons("Programmed"),
  });
  try {
    await agent.start();
    const cni = await serveCni(options.cniSocket, cniHandlers(agent), log, metrics.observeCall);
    try {
      log.info({ cni: cni.socket, port: monitor.port }, "started");
      options.onReady?.(monitor.port);
      await stopping;
    } finally {
      await cni.close();
    }
  } finally {
    await monitor.close();
  }
}
