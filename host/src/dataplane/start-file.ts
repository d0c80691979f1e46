import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { explainIssues } from "../config/explain.js";
import { parseNodeSpec } from "../config/load.js";
import { type NodeSpec, nodeSpecSchema } from "../config/schema.js";
import { integer, mapping } from "../config/values.js";
import { writeDurably } from "../durable-file.js";
import { messageOf, SluiceError, systemCode } from "../errors.js";

const { name, workers, workerCores, busyPoll, memory, logLevel } = nodeSpecSchema.shape;

/** What a node's agent says of the start of its dataplane. */
export const startSchema = mapping({
  name,
  workers,
  workerCores,
  busyPoll,
  memory,
  logLevel,
  maxFlows: integer(1024, 1 << 24),
});
export type StartSettings = ReturnType<typeof startSchema.parse>;

/** Written by the agent. */
export const startFile = (stateDir: string): string => join(stateDir, "start.json");
/** Written by the dataplane: what it runs with. */
export const startedFile = (stateDir: string): string => join(stateDir, "started.json");

/** @returns undefined where there is no such file. @throws SluiceError "invalid-start-file" */
export async function readSettings(file: string): Promise<StartSettings | undefined> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw SluiceError.of("invalid-start-file", file, messageOf(error), { cause: error });
  }
  const parsed = startSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = explainIssues(parsed.error.issues, value).map(({ problem }) => problem);
  throw new SluiceError(
    problems.map(({ path, message }) => ({ code: "invalid-start-file", path: `${file} ${path}`, message })),
  );
}

/** Atomically, so that who reads it sees all of it. */
export async function writeSettings(file: string, settings: StartSettings): Promise<void> {
  await writeDurably(file, `${JSON.stringify(settings, undefined, 2)}\n`);
}

/** A node of these settings without ports. */
export function emptyNode({ maxFlows, ...settings }: StartSettings): NodeSpec {
  return parseNodeSpec({ ...settings, conntrack: { maxFlows } });
}

const LOOK_MS = 200;

/** Waits until the file is there with settings that `accept` takes. @returns undefined once `signal` is aborted */
export async function settingsWhen(
  file: string,
  signal: AbortSignal,
  accept: (settings: StartSettings) => boolean = () => true,
): Promise<StartSettings | undefined> {
  while (!signal.aborted) {
    const settings = await readSettings(file);
    if (settings !== undefined && accept(settings)) return settings;
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}
