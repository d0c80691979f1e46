import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Cleanup } from "./cleanup.js";
import { eventually } from "./process.js";

const REMOVED_MS = 20_000;

/**
 * Makes a cgroup of this name in every hierarchy, below this process's own, and returns their folders. The clean-up removes
 * them and what was made in them, whose processes must have ended by then.
 */
export function createCgroups(cleanup: Cleanup, name: string): string[] {
  return cgroupParents().map((parent) => {
    const folder = join(parent, name);
    handDown(parent);
    mkdirSync(folder);
    cleanup.defer(folder, () => removeCgroup(folder));
    // A cpuset takes no process before it has CPUs and memory nodes.
    for (const file of ["cpuset.cpus", "cpuset.mems"].filter((each) => existsSync(join(folder, each)))) {
      const own = readFileSync(join(parent, file), "utf8");
      if (own.trim()) writeFileSync(join(folder, file), own);
    }
    return folder;
  });
}

/** Where cgroups of this process's own belong: a folder of every hierarchy with controllers. */
export function cgroupParents(): string[] {
  const places = readFileSync("/proc/self/cgroup", "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(":"));
  if (places.length === 1) return ["/sys/fs/cgroup"]; // v2: only its root may have both processes and children with controllers
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "));
  return places.flatMap(([, controllers = "", ...path]) => {
    const wanted = controllers.split(",");
    const mount = mounts.find(
      ([, , type, options = ""]) => type === "cgroup" && wanted.every((each) => options.split(",").includes(each)),
    );
    return controllers && mount?.[1] ? [join(mount[1], path.join(":"))] : [];
  });
}

/** Cgroup v2: lets children of the root have controllers. */
function handDown(parent: string): void {
  const file = join(parent, "cgroup.subtree_control");
  if (!existsSync(file)) return;
  const controllers = readFileSync(join(parent, "cgroup.controllers"), "utf8").trim().split(" ");
  writeFileSync(file, controllers.map((each) => `+${each}`).join(" "));
}

/** Removes a cgroup and all below it; those of processes that are just ending are waited for. */
export async function removeCgroup(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  const below = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of below) await removeCgroup(join(folder, name));
  await eventually(`${folder} is empty`, REMOVED_MS, () => {
    try {
      rmdirSync(folder);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EBUSY") return undefined;
      throw error;
    }
  });
}
