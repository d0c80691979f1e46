import { setTimeout as pause } from "node:timers/promises";
import { localNames } from "../dataplane/paths.js";
import { SluiceError } from "../errors.js";
import { sluiceObjects } from "./cluster/facts.js";
import type { Completion, NameKind } from "./completion.js";
import { clusterMeant, connected } from "./connection.js";

/** Who pressed Tab waits for it. That a client has to be loaded first is not the cluster's fault. */
const ANSWER_MS = 2000;

/** Names of the cluster or node that a command line means: none where nobody answers in time, or answers otherwise than with names. */
export async function knownNames(kind: NameKind, given: Completion["given"]): Promise<readonly string[]> {
  try {
    return await (kind === "nodes" ? nodes(given) : plugins(given));
  } catch (error) {
    if (error instanceof SluiceError) return []; // a word in the making is no place for an error
    throw error;
  }
}

/** The one that is named so far is not yet all of its name. */
async function nodes({ name: _, ...given }: Completion["given"]): Promise<string[]> {
  const cluster = await clusterMeant({ ...given, output: "table" });
  return cluster === undefined ? localNames() : inTime(cluster.nodes());
}

/** Plugin objects of a cluster, or all that a node runs. */
async function plugins(given: Completion["given"]): Promise<string[]> {
  const options = { ...given, output: "table" as const };
  const cluster = await clusterMeant(options);
  if (cluster !== undefined && given.name === undefined)
    return inTime(sluiceObjects(cluster.api, "plugins").then((all) => all.map(({ metadata }) => metadata.name)));
  const found = connected(options, (client) => client.call("listPlugins", {}, ANSWER_MS));
  return inTime(found.then((answer) => answer.plugins.map(({ name }) => name)));
}

const inTime = (names: Promise<string[]>): Promise<string[]> => Promise.race([names, pause(ANSWER_MS, [])]);
