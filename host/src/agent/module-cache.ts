import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeDurably } from "../durable-file.js";
import { systemCode } from "../errors.js";
import { digestOf } from "../plugins/builder.js";

/** Plugins' modules on the node's disk, by digest, so that it starts with them when etcd is away. */
export class ModuleCache {
  constructor(
    private readonly folder: string,
    /** The module, verified. */
    private readonly fetch: (digest: string) => Promise<Uint8Array>,
  ) {}

  /** @throws what `fetch` throws, or of the file system */
  async get(digest: string): Promise<Uint8Array> {
    const known = await this.read(digest);
    if (known !== undefined) return known;
    const wasm = await this.fetch(digest);
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await writeDurably(this.file(digest), wasm);
    return wasm;
  }

  /** Deletes all but these. */
  async prune(kept: ReadonlySet<string>): Promise<void> {
    const names = await readdir(this.folder).catch(ignoreAbsent);
    const gone = (names ?? []).filter((name) => !kept.has(name.replace(/\.wasm$/, "")));
    await Promise.all(gone.map((name) => rm(join(this.folder, name), { force: true })));
  }

  /** A file that the disk has spoilt is none. */
  private async read(digest: string): Promise<Uint8Array | undefined> {
    const wasm = await readFile(this.file(digest)).catch(ignoreAbsent);
    return wasm !== undefined && digestOf(wasm) === digest ? wasm : undefined;
  }

  private file(digest: string): string {
    return join(this.folder, `${digest}.wasm`);
  }
}

function ignoreAbsent(error: unknown): undefined {
  if (systemCode(error) !== "ENOENT") throw error;
}
