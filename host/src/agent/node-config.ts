import type { NodeConfigRecord, NodeRecord } from "../cluster/records.js";
import type { StartSettings } from "../dataplane/start-file.js";
import { type NodeConfigSpec, nodeConfigSpec } from "../resources/node-config.js";
import { holdingFor } from "../resources/select.js";

/** What holds for a node, with the object that says so; none: the defaults. */
export interface ChosenConfig {
  readonly spec: NodeConfigSpec;
  readonly object?: { readonly name: string; readonly generation: number };
}

export function chooseConfig(configs: Iterable<NodeConfigRecord>, node: NodeRecord | undefined): ChosenConfig {
  const chosen = holdingFor(node?.labels ?? {}, configs);
  if (chosen === undefined) return { spec: nodeConfigSpec.parse({}) };
  return { spec: chosen.spec, object: { name: chosen.name, generation: chosen.generation } };
}

export function startSettings(name: string, spec: NodeConfigSpec, logLevel: StartSettings["logLevel"]): StartSettings {
  const { workers, workerCores, busyPoll, memory, maxFlows } = spec;
  return { name, workers, busyPoll, memory, maxFlows, logLevel, ...(workerCores === undefined ? {} : { workerCores }) };
}
