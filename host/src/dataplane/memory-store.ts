import { SluiceError } from "../errors.js";
import { digestsOf, type Modules, type PendingSnapshot, type Snapshot, type Store } from "./store.js";

/** Gone with the process. */
export class MemoryStore implements Store {
  private current: Snapshot | undefined;
  private readonly modules = new Map<string, Uint8Array>();

  async load(): Promise<Snapshot | undefined> {
    return structuredClone(this.current);
  }

  async module(digest: string): Promise<Uint8Array> {
    const wasm = this.modules.get(digest);
    if (wasm === undefined) throw SluiceError.of("unknown-module", digest, "the store has no such module");
    return wasm;
  }

  async prepare(snapshot: Snapshot, added: Modules): Promise<PendingSnapshot> {
    const next = structuredClone(snapshot);
    for (const [digest, wasm] of added) this.modules.set(digest, wasm);
    return {
      commit: async () => {
        this.current = next;
        this.forgetOthers();
      },
      abort: async () => this.forgetOthers(),
    };
  }

  private forgetOthers(): void {
    const used = this.current === undefined ? new Set<string>() : digestsOf(this.current);
    for (const digest of this.modules.keys()) if (!used.has(digest)) this.modules.delete(digest);
  }
}
