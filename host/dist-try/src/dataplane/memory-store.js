import { SluiceError } from "../errors.js";
import { digestsOf } from "./store.js";
/** Gone with the process. */
export class MemoryStore {
    current;
    modules = new Map();
    async load() {
        return structuredClone(this.current);
    }
    async module(digest) {
        const wasm = this.modules.get(digest);
        if (wasm === undefined)
            throw SluiceError.of("unknown-module", digest, "the store has no such module");
        return wasm;
    }
    async prepare(snapshot, added) {
        const next = structuredClone(snapshot);
        for (const [digest, wasm] of added)
            this.modules.set(digest, wasm);
        return {
            commit: async () => {
                this.current = next;
                this.forgetOthers();
            },
            abort: async () => this.forgetOthers(),
        };
    }
    forgetOthers() {
        const used = this.current === undefined ? new Set() : digestsOf(this.current);
        for (const digest of this.modules.keys())
            if (!used.has(digest))
                this.modules.delete(digest);
    }
}
//# sourceMappingURL=memory-store.js.map