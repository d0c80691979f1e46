import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { explainIssues } from "../config/explain.js";
import { syncFolder, writeDurably } from "../durable-file.js";
import { messageOf, SluiceError, systemCode } from "../errors.js";
import { snapshotText } from "./snapshot-text.js";
import { digestsOf, type Modules, type PendingSnapshot, type Snapshot, type Store, snapshotSchema } from "./store.js";

/**
 * Outlives the process. In its folder: `state.json`, replaced by rename only, and `modules/<digest>.wasm`.
 * One process uses a folder at a time: FolderLock sees to it.
 */
export class FileStore implements Store {
  private readonly modulesFolder: string;
  private readonly stateFile: string;

  private constructor(private readonly folder: string) {
    this.modulesFolder = join(folder, "modules");
    this.stateFile = join(folder, "state.json");
  }

  /** @throws SluiceError "store-unusable" when the folder can't be made */
  static async open(folder: string): Promise<FileStore> {
    const store = new FileStore(folder);
    await usable(folder, () => mkdir(store.modulesFolder, { recursive: true, mode: 0o700 }));
    return store;
  }

  async load(): Promise<Snapshot | undefined> {
    const text = await readIfThere(this.stateFile);
    if (text === undefined) return undefined;
    return parseSnapshot(text.toString("utf8"), this.stateFile);
  }

  async module(digest: string): Promise<Uint8Array> {
    const file = this.moduleFile(digest);
    const wasm = await readIfThere(file);
    if (wasm === undefined) throw SluiceError.of("unknown-module", file, "the store has no such module");
    if (createHash("sha256").update(wasm).digest("hex") !== digest) {
      throw SluiceError.of(
        "store-corrupt",
        file,
        "its sha-256 is not its name; remove the file and apply the node file again",
      );
    }
    return wasm;
  }

  async prepare(snapshot: Snapshot, added: Modules): Promise<PendingSnapshot> {
    const next = `${this.stateFile}.next`;
    await usable(this.folder, async () => {
      for (const [digest, wasm] of added) await writeDurably(this.moduleFile(digest), wasm);
      await writeDurably(next, snapshotText(snapshot));
    });
    return {
      commit: () =>
        usable(this.folder, async () => {
          await rename(next, this.stateFile);
          await syncFolder(this.folder);
          await this.forgetOthers(digestsOf(snapshot));
        }),
      abort: () =>
        usable(this.folder, async () => {
          await rm(next, { force: true });
          const current = await this.load();
          await this.forgetOthers(current === undefined ? new Set() : digestsOf(current));
        }),
    };
  }

  private moduleFile(digest: string): string {
    return join(this.modulesFolder, `${digest}.wasm`);
  }

  private async forgetOthers(used: ReadonlySet<string>): Promise<void> {
    for (const file of await readdir(this.modulesFolder)) {
      if (!used.has(file.replace(/\.wasm$/, ""))) await rm(join(this.modulesFolder, file), { force: true });
    }
  }
}

function parseSnapshot(text: string, file: string): Snapshot {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw corrupt(file, messageOf(error));
  }
  const parsed = snapshotSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [first] = explainIssues(parsed.error.issues, value);
  throw corrupt(file, `${first?.problem.path} ${first?.problem.message}`);
}

function corrupt(file: string, what: string): SluiceError {
  return SluiceError.of("store-corrupt", file, `${what}; move the file away and start with -f node.yaml`);
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw SluiceError.of("store-unusable", file, messageOf(error), { cause: error });
  }
}

async function usable<Value>(folder: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    throw SluiceError.of("store-unusable", folder, messageOf(error), { cause: error });
  }
}
