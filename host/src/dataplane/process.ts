import type { Dataplane, StartOptions } from "@sluice/native";
import { type Logger, pino } from "pino";
import type { NodeSpec } from "../config/schema.js";
import { messageOf, SluiceError } from "../errors.js";
import { inspect } from "../plugins/builder.js";
import { signalled } from "../signals.js";
import { FileStore } from "./file-store.js";
import { FolderLock } from "./folder-lock.js";
import { type Cell, handlersOf, runningOf } from "./handlers.js";
import { PortKeeper, withoutLostPorts } from "./lost-ports.js";
import { fromNative } from "./native-errors.js";
import { DEFAULT_CACHE_DIR, defaultSocket, defaultStateDir } from "./paths.js";
import { PluginSources } from "./plugin-sources.js";
import { serveDataplane } from "./server.js";
import { Shell } from "./shell.js";
import type { Modules } from "./store.js";
import { TrapLog } from "./traps.js";
import { Uplinks } from "./uplinks.js";

export interface RunOptions {
  readonly spec: NodeSpec;
  readonly modules: Modules;
  readonly socket?: string;
  /** Start with the state that the last run ended with, where there is one, and not with `spec`. */
  readonly resume: boolean;
  /** Of another process, which knows what the node should be: it starts even when its last state can't be had again. */
  readonly isManaged?: boolean;
  /** Ends it as a signal does, but that what is taken from the node stays so: the program goes on in the same process. */
  readonly ending?: Promise<void>;
  /** Called once packets flow, with the socket that commands go to. */
  readonly onReady?: (socket: string) => void;
}

/** How often the addon is asked for messages, traps and lost ports. */
const MESSAGES_MS = 1000;

/**
 * Runs a dataplane until SIGINT or SIGTERM, or until `ending`.
 * @throws SluiceError when it can't start; all that it had begun is undone
 */
export async function runDataplane(options: RunOptions): Promise<void> {
  const { spec } = options;
  const log = pino({ level: spec.logLevel, base: { node: spec.name } }, pino.destination({ fd: 2, sync: true }));
  const stopping = signalled(log);
  const cell: Cell = {};
  const folder = spec.stateDir ?? defaultStateDir(spec.name);
  // The socket and the lock come first: they make sure that there is one dataplane of a name and of a state directory.
  const server = await serveDataplane(options.socket ?? defaultSocket(spec.name), handlersOf(cell, spec.name), log);
  const uplinks = new Uplinks(spec.name, folder, log);
  let native: Dataplane | undefined;
  let lock: FolderLock | undefined;
  let isTold = false;
  let isEnding = false;
  try {
    lock = await FolderLock.acquire(folder);
    native = await startNative(spec, options.isManaged === true, log);
    const store = await FileStore.open(folder);
    const sources = new PluginSources((digest) => store.module(digest), log);
    const shell = new Shell({ native, store, log, started: spec, inspect, sources, uplinks });
    const resumed = options.resume && (await resume(shell, options.isManaged === true, log));
    if (!resumed) await shell.apply(spec, options.modules);
    const running = runningOf(native, shell, sources);
    cell.running = running;
    log.info({ socket: server.socket, pid: process.pid, resumed }, "ready");
    options.onReady?.(server.socket);
    const traps = new TrapLog(log);
    const keeper = new PortKeeper(shell, log);
    const look = async () => {
      const now = await running.figures();
      traps.write(now);
      await keeper.look(now.ports);
    };
    const messages = setInterval(() => void look(), MESSAGES_MS);
    const told = stopping.then(() => {
      isTold = true;
    });
    const ending = options.ending?.then(() => {
      isEnding = true;
    });
    await Promise.race([told, ending ?? told]);
    clearInterval(messages);
    delete cell.running;
    await running.observer.close();
    await shell.close();
  } finally {
    await server.close();
    await native?.stop();
    if (lock !== undefined) await uplinks.close(isEnding && !isTold);
    await lock?.release();
  }
  log.info("stopped");
}

async function resume(shell: Shell, isManaged: boolean, log: Logger): Promise<boolean> {
  if (!isManaged) return shell.resume();
  try {
    return await shell.resume(withoutLostPorts);
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    log.error({ problems: error.problems.slice(0, 20) }, "the last state can't be had again; waiting for a new one");
    return false;
  }
}

async function startNative(spec: NodeSpec, keepTaps: boolean, log: Logger): Promise<Dataplane> {
  const { Dataplane } = await loadAddon();
  try {
    const { dataplane, hugepages, memoryMb, message } = await Dataplane.start({ ...startOptions(spec), keepTaps });
    log.info({ hugepages, memoryMb }, message);
    return dataplane;
  } catch (error) {
    throw fromNative(error);
  }
}

async function loadAddon(): Promise<typeof import("@sluice/native")> {
  try {
    return await import("@sluice/native");
  } catch (error) {
    throw SluiceError.of("addon-missing", "", messageOf(error), { cause: error });
  }
}

function startOptions(spec: NodeSpec): StartOptions {
  const { name, workers, workerCores, busyPoll, logLevel, memory } = spec;
  return {
    name,
    workers,
    busyPoll,
    logLevel,
    memoryMb: memory.size,
    hugepages: memory.hugepages,
    stateDir: spec.stateDir ?? defaultStateDir(name),
    cacheDir: spec.cacheDir ?? DEFAULT_CACHE_DIR,
    pci: spec.ports.some(
      (port) => port.kind === "dpdk" && /^([0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\./.test(port.devargs),
    ),
    ...(workerCores === undefined ? {} : { workerCores }),
    ...(memory.buffers === undefined ? {} : { buffers: memory.buffers }),
    ...(memory.jumbos === undefined ? {} : { jumbos: memory.jumbos }),
  };
}
