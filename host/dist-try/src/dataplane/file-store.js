import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { explainIssues } from "../config/explain.js";
import { messageOf, SluiceError, systemCode } from "../errors.js";
import { digestsOf, snapshotSchema } from "./store.js";
/**
 * Outlives the process. In its folder: `state.json`, replaced by rename only, and `modules/<digest>.wasm`.
 * One process uses a folder at a time: the instance's lock sees to it.
 */
export class FileStore {
    folder;
    modulesFolder;
    stateFile;
    constructor(folder) {
        this.folder = folder;
        this.modulesFolder = join(folder, "modules");
        this.stateFile = join(folder, "state.json");
    }
    /** @throws SluiceError "store-unusable" when the folder can't be made */
    static async open(folder) {
        const store = new FileStore(folder);
        await usable(folder, () => mkdir(store.modulesFolder, { recursive: true, mode: 0o700 }));
        return store;
    }
    async load() {
        const text = await readIfThere(this.stateFile);
        if (text === undefined)
            return undefined;
        return parseSnapshot(text.toString("utf8"), this.stateFile);
    }
    async module(digest) {
        const file = this.moduleFile(digest);
        const wasm = await readIfThere(file);
        if (wasm === undefined)
            throw SluiceError.of("unknown-module", file, "the store has no such module");
        if (createHash("sha256").update(wasm).digest("hex") !== digest) {
            throw SluiceError.of("store-corrupt", file, "its sha-256 is not its name; remove the file and apply the node file again");
        }
        return wasm;
    }
    async prepare(snapshot, added) {
        const next = `${this.stateFile}.next`;
        await usable(this.folder, async () => {
            for (const [digest, wasm] of added)
                await writeDurably(this.moduleFile(digest), wasm);
            await writeDurably(next, `${JSON.stringify(snapshot, undefined, 1)}\n`);
        });
        return {
            commit: () => usable(this.folder, async () => {
                await rename(next, this.stateFile);
                await syncFolder(this.folder);
                await this.forgetOthers(digestsOf(snapshot));
            }),
            abort: () => usable(this.folder, async () => {
                await rm(next, { force: true });
                const current = await this.load();
                await this.forgetOthers(current === undefined ? new Set() : digestsOf(current));
            }),
        };
    }
    moduleFile(digest) {
        return join(this.modulesFolder, `${digest}.wasm`);
    }
    async forgetOthers(used) {
        for (const file of await readdir(this.modulesFolder)) {
            if (!used.has(file.replace(/\.wasm$/, "")))
                await rm(join(this.modulesFolder, file), { force: true });
        }
    }
}
function parseSnapshot(text, file) {
    let value;
    try {
        value = JSON.parse(text);
    }
    catch (error) {
        throw corrupt(file, messageOf(error));
    }
    const parsed = snapshotSchema.safeParse(value);
    if (parsed.success)
        return parsed.data;
    const [first] = explainIssues(parsed.error.issues, value);
    throw corrupt(file, `${first?.problem.path} ${first?.problem.message}`);
}
function corrupt(file, what) {
    return SluiceError.of("store-corrupt", file, `${what}; move the file away and start with -f node.yaml`);
}
async function readIfThere(file) {
    try {
        return await readFile(file);
    }
    catch (error) {
        if (systemCode(error) === "ENOENT")
            return undefined;
        throw SluiceError.of("store-unusable", file, messageOf(error), { cause: error });
    }
}
async function writeDurably(file, data) {
    const part = `${file}.part`;
    const handle = await open(part, "w", 0o600);
    try {
        await handle.writeFile(data);
        await handle.sync();
    }
    finally {
        await handle.close();
    }
    await rename(part, file);
}
async function syncFolder(folder) {
    const handle = await open(folder, "r");
    try {
        await handle.sync();
    }
    finally {
        await handle.close();
    }
}
async function usable(folder, work) {
    try {
        return await work();
    }
    catch (error) {
        if (error instanceof SluiceError)
            throw error;
        throw SluiceError.of("store-unusable", folder, messageOf(error), { cause: error });
    }
}
//# sourceMappingURL=file-store.js.map