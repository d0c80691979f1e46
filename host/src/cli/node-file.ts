import { type LoadedNodeFile, loadNodeFile } from "../config/load.js";
import { desiredState } from "../dataplane/state.js";
import type { Modules } from "../dataplane/store.js";
import { SluiceError } from "../errors.js";
import { type ResolvedNode, resolveNode } from "../plugins/resolve.js";

export interface ReadyNode extends ResolvedNode {
  readonly file: LoadedNodeFile;
  readonly wasms: Modules;
}

/** A node file with all that can be checked without a dataplane: its plugins built, its stages ordered. @throws SluiceError */
export async function readNode(path: string): Promise<ReadyNode> {
  const file = await loadNodeFile(path);
  const resolved = await resolveNode(file);
  const modules = [...resolved.modules];
  const manifests = new Map(modules.map(([digest, { manifest }]) => [digest, manifest]));
  await located(file, async () => desiredState(resolved.spec, manifests));
  return { ...resolved, file, wasms: new Map(modules.map(([digest, { wasm }]) => [digest, wasm])) };
}

/** Does the work; pointers in what it refuses become places in the file. */
export async function located<Value>(file: LoadedNodeFile, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    throw new SluiceError(error.problems.map(file.locate), { cause: error });
  }
}
