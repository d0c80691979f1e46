import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cgroupParents, removeCgroup } from "../support/cgroups.js";
import { namespaces, removeNamespace } from "../support/namespace.js";
import { stopGateway } from "./gateway.js";

/**
 * Takes down every cluster's namespaces, with the programs in them, and cgroups whose names `isOurs` holds for, and a cluster's
 * folder. Returns whether there was any.
 */
export async function takeDown(isOurs: (name: string) => boolean, folder?: string): Promise<boolean> {
  if (folder !== undefined) await stopGateway(folder);
  const found = namespaces().filter(isOurs);
  for (const name of found) await removeNamespace(name);
  for (const parent of cgroupParents()) {
    const groups = readdirSync(parent).filter(isOurs);
    found.push(...groups);
    for (const group of groups) await removeCgroup(join(parent, group));
  }
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  return found.length > 0;
}
