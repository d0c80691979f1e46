import { existsSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { namespaces, removeNamespace } from "./namespace.js";

/** Starts every name that tests and demo give to a namespace or folder; the process id of the owner follows. */
const PREFIX = "slt";

/** A name that tells whose it is: "slt-1234-node1". */
export function ownName(name: string): string {
  return `${PREFIX}-${process.pid}-${name}`;
}

/** Removes namespaces, folders and flow records whose owner is no longer alive. */
export async function removeLeftovers(): Promise<void> {
  for (const name of namespaces().filter(isLeftover)) await removeNamespace(name);
  for (const folder of [tmpdir(), "/dev/shm"]) {
    const names = readdirSync(folder).filter(isLeftover);
    for (const name of names) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/** Whether the name is one of ownName() whose process has ended. */
export function isLeftover(name: string): boolean {
  const pid = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name)?.[1];
  return pid !== undefined && !existsSync(`/proc/${pid}`);
}
