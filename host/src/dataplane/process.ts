import type { Dataplane, StartOptions } from "@sluice/native";
import { type Logger, pino } from "pino";
import type { NodeSpec } from "../config/schema.js";
import { messageOf, SluiceError } from "../errors.js";
import { digestOf, inspect } from "../plugins/builder.js";
import { VERSION } from "../version.js";
import { FileStore } from "./file-store.js";
import { FolderLock } from "./folder-lock.js";
import { fromNative } from "./native-errors.js";
import { DEFAULT_CACHE_DIR, defaultSocket, defaultStateDir } from "./paths.js";
import type { Module } from "./protocol.js";
import { DataplaneServer, type Handlers } from "./server.js";
import { Shell } from "./shell.js";
import type { Modules } from "./store.js";

export interface RunOptions {
  readonly spec: NodeSpec;
  readonly modules: Modules;
  readonly socket?: string;
  /** Start with the state that the last run ended with, where there is one, and not with `spec`. */
  readonly resume: boolean;
  /** Called once packets flow, with the socket that commands go to. */
  readonly onReady?: (socket: string) => void;
}

/** How often the addon is asked for messages. */
const MESSAGES_MS = 1000;

/**
 * Runs a dataplane until SIGINT or SIGTERM.
 * @throws SluiceError when it can't start; all that it had begun is undone
 */
export async function runDataplane(options: RunOptions): Promise<void> {
  const { spec } = options;
  const log = pino({ level: spec.logLevel, base: { node: spec.name } }, pino.destination({ fd: 2, sync: true }));
  const stopping = signalled(log);
  const cell: { shell?: Shell } = {};
  const folder = spec.stateDir ?? defaultStateDir(spec.name);
  // The socket and the lock come first: they make sure that there is one dataplane of a name and of a state directory.
  const server = await DataplaneServer.listen(options.socket ?? defaultSocket(spec.name), handlersOf(cell, spec), log);
  let native: Dataplane | undefined;
  let lock: FolderLock | undefined;
  try {
    lock = await FolderLock.acquire(folder);
    native = await startNative(spec, log);
    const store = await FileStore.open(folder);
    const shell = new Shell({ native, store, log, started: spec, inspect });
    const resumed = options.resume && (await shell.resume());
    if (!resumed) await shell.apply(spec, options.modules);
    cell.shell = shell;
    log.info({ socket: server.socket, pid: process.pid, resumed }, "ready");
    options.onReady?.(server.socket);
    const messages = setInterval(() => shell.status(), MESSAGES_MS);
    await stopping;
    clearInterval(messages);
    delete cell.shell;
    await shell.close();
  } finally {
    await server.close();
    await native?.stop();
    await lock?.release();
  }
  log.info("stopped");
}

async function startNative(spec: NodeSpec, log: Logger): Promise<Dataplane> {
  const { Dataplane } = await loadAddon();
  try {
    const { dataplane, hugepages, memoryMb, message } = await Dataplane.start(startOptions(spec));
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

function handlersOf(cell: { readonly shell?: Shell }, { name }: NodeSpec): Handlers {
  const shell = () => {
    if (cell.shell !== undefined) return cell.shell;
    throw SluiceError.of("not-running", "", `the dataplane "${name}" is starting or stopping; try again`);
  };
  return {
    apply: async ({ specJson, modules }) => shell().apply(parseSpec(specJson), byDigest(modules)),
    changePlugins: async (request) => shell().change(request, byDigest(request.modules)),
    listPlugins: async () => ({ plugins: shell().plugins() }),
    status: async () => ({ name, pid: process.pid, version: VERSION, native: shell().status() }),
  };
}

function parseSpec(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch (error) {
    throw SluiceError.of("invalid-config", "", `the spec is no JSON: ${messageOf(error)}`, { cause: error });
  }
}

function byDigest(modules: readonly Module[]): Modules {
  for (const [index, { digest, wasm }] of modules.entries()) {
    const found = digestOf(wasm);
    if (found === digest) continue;
    throw SluiceError.of(
      "module-wrong-digest",
      `/modules/${index}/digest`,
      `found ${digest}; the module's sha-256 is ${found}`,
    );
  }
  return new Map(modules.map(({ digest, wasm }) => [digest, wasm]));
}

/** A terminal and a parent process often both send the signal for one Ctrl-C: those of this long count as one. */
const ONE_SIGNAL_MS = 1000;

/** Resolves on the first SIGINT or SIGTERM; a later one ends the process at once. */
function signalled(log: Logger): Promise<void> {
  return new Promise((resolve) => {
    let first: number | undefined;
    const onSignal = (signal: NodeJS.Signals) => {
      if (first !== undefined && Date.now() - first > ONE_SIGNAL_MS) process.exit(1);
      if (first !== undefined) return;
      first = Date.now();
      log.info({ signal }, "stopping");
      resolve();
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
  });
}
