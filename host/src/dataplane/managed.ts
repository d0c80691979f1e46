import { mkdir } from "node:fs/promises";
import { setImmediate as turn } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { NodeSpec } from "../config/schema.js";
import { SluiceError } from "../errors.js";
import { defaultStateDir } from "./paths.js";
import { runDataplane } from "./process.js";
import {
  emptyNode,
  readSettings,
  type StartSettings,
  settingsWhen,
  startedFile,
  startFile,
  writeSettings,
} from "./start-file.js";

export interface ManagedOptions {
  readonly node: string;
  readonly stateDir?: string;
  readonly socket?: string;
  readonly onReady?: (socket: string) => void;
  /** Takes a problem that does not end the process. */
  readonly onProblem: (error: SluiceError) => void;
}

/** Settings, as JSON, that a start with them has failed. */
const REFUSED = "SLUICE_REFUSED_START";

/**
 * Runs the dataplane that a node's agent manages, until SIGINT or SIGTERM. Its start waits for the agent's settings; when they
 * change it ends in an orderly way (pods' interfaces, flows and the last state stay) and starts again in the same process
 * number. Settings that it can't start with are put aside for the last good ones.
 */
export async function runManaged(options: ManagedOptions): Promise<void> {
  const folder = options.stateDir ?? defaultStateDir(options.node);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const told = new AbortController();
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  told.signal.addEventListener("abort", stop);
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => told.abort());
  const settings = await firstSettings(folder, options, stopping.signal);
  if (settings === undefined || told.signal.aborted) return; // what follows hears later signals itself
  let changed = false;
  const next = nextSettings(folder, settings, options, stopping.signal).then((found) => {
    changed = found;
    return found ? undefined : new Promise<void>(() => undefined);
  });
  try {
    await runDataplane({
      spec: specOf(settings, options),
      modules: new Map(),
      resume: true,
      isManaged: true,
      ending: next,
      ...(options.socket === undefined ? {} : { socket: options.socket }),
      onReady: (socket) => {
        void writeSettings(startedFile(folder), settings);
        options.onReady?.(socket);
      },
    });
  } catch (error) {
    if (!(error instanceof SluiceError) || !(await hasOther(folder, settings))) throw error;
    options.onProblem(error);
    await startAgain({ ...process.env, [REFUSED]: JSON.stringify(settings) }, told.signal);
  } finally {
    stop();
  }
  if (changed) await startAgain(without(REFUSED), told.signal);
}

async function firstSettings(folder: string, options: ManagedOptions, signal: AbortSignal) {
  const refused = refusedSettings();
  const last = await readSettings(startedFile(folder));
  const asked = await settingsWhen(startFile(folder), signal);
  if (asked !== undefined && asked.name !== options.node) {
    const message = `found ${asked.name}; this is the dataplane of ${options.node}`;
    throw SluiceError.of("invalid-start-file", `${startFile(folder)} /name`, message);
  }
  return last !== undefined && refused !== undefined && isDeepStrictEqual(asked, refused) ? last : asked;
}

/** @returns true when there are settings to start with that are others than `settings`; false when aborted */
async function nextSettings(
  folder: string,
  settings: StartSettings,
  { onProblem }: ManagedOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const refused = refusedSettings();
  const isNew = (found: StartSettings) => !isDeepStrictEqual(found, settings) && !isDeepStrictEqual(found, refused);
  for (;;) {
    try {
      return (await settingsWhen(startFile(folder), signal, isNew)) !== undefined;
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      onProblem(error);
      await new Promise((wake) => setTimeout(wake, 5000).unref());
    }
  }
}

function refusedSettings(): unknown {
  const text = process.env[REFUSED];
  return text === undefined ? undefined : JSON.parse(text);
}

async function hasOther(folder: string, settings: StartSettings): Promise<boolean> {
  const last = await readSettings(startedFile(folder));
  return last !== undefined && !isDeepStrictEqual(last, settings);
}

function specOf(settings: StartSettings, { stateDir }: ManagedOptions): NodeSpec {
  return { ...emptyNode(settings), ...(stateDir === undefined ? {} : { stateDir }) };
}

/** DPDK starts once a process: a program begins anew. Not when this one was told to end: the next one would not know of that. */
async function startAgain(environment: NodeJS.ProcessEnv, told: AbortSignal): Promise<void> {
  const { replaceProcess } = await import("@sluice/native");
  await turn(); // of the event loop, which brings signals
  if (told.aborted) return;
  const variables = Object.entries(environment).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${value}`],
  );
  replaceProcess(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], variables);
}

function without(name: string): NodeJS.ProcessEnv {
  const { [name]: _, ...rest } = process.env;
  return rest;
}
