import { isDeepStrictEqual } from "node:util";
import type { NodeSpec } from "../config/schema.js";
import { SluiceError } from "../errors.js";

/** Settings that the addon takes at its start only. */
const START_SETTINGS = [
  "name",
  "workers",
  "workerCores",
  "busyPoll",
  "memory",
  "stateDir",
  "cacheDir",
  "logLevel",
] as const;

/** What a process that was started as `started` makes of a node that another one had: its own settings of the start. */
export function withStartSettings(spec: NodeSpec, started: NodeSpec): object {
  const settings = Object.fromEntries(START_SETTINGS.map((key) => [key, started[key]]));
  const conntrack = { ...spec.conntrack, maxFlows: started.conntrack.maxFlows };
  return { ...spec, ...settings, conntrack };
}

/** @throws SluiceError where `next` would need a restart */
export function refuseRestartSettings(started: NodeSpec, next: NodeSpec): void {
  const problems = START_SETTINGS.filter((key) => !isDeepStrictEqual(started[key], next[key])).map((key) => ({
    code: "restart-required",
    path: `/${key}`,
    message: `found ${JSON.stringify(next[key])}; the running dataplane was started with ${JSON.stringify(started[key])}, and a restart is needed to change it`,
  }));
  if (problems.length > 0) throw new SluiceError(problems);
}
