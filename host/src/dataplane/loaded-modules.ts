import type { Dataplane, Manifest } from "@sluice/native";
import type { NodeSpec, PluginSpec } from "../config/schema.js";
import { SluiceError } from "../errors.js";
import { checkPluginConfig } from "../plugins/config-schema.js";
import { fromNative } from "./native-errors.js";
import type { Modules, Store } from "./store.js";

export interface LoadedModulesOptions {
  readonly native: Pick<Dataplane, "addModule">;
  readonly store: Pick<Store, "module">;
  /** As ShellOptions'. */
  readonly inspect: (wasm: Uint8Array, origin: string) => Promise<Manifest>;
}

/** The modules that the addon holds, and what they say of themselves. All are named by their digests. */
export class LoadedModules {
  readonly #options: LoadedModulesOptions;
  readonly #manifests = new Map<string, Manifest>();
  #loaded = new Set<string>();
  /** Configurations that fit their manifests. */
  readonly #checked = new WeakSet<PluginSpec>();

  constructor(options: LoadedModulesOptions) {
    this.#options = options;
  }

  /** Of all modules that gather() was asked for and that keepOnly() has not dropped. */
  get manifests(): ReadonlyMap<string, Manifest> {
    return this.#manifests;
  }

  /** The bytes of the modules that the addon lacks, checked; their manifests are known after it. @throws SluiceError */
  async gather(spec: NodeSpec, sent: Modules): Promise<Map<string, Uint8Array>> {
    const wasms = new Map<string, Uint8Array>();
    for (const { digest, origin } of spec.plugins) {
      if (this.#loaded.has(digest) || wasms.has(digest)) continue;
      const wasm = sent.get(digest) ?? (await this.#options.store.module(digest));
      if (!this.#manifests.has(digest)) this.#manifests.set(digest, await this.#options.inspect(wasm, origin));
      wasms.set(digest, wasm);
    }
    return wasms;
  }

  /** @throws SluiceError where a plugin's configuration does not fit its manifest */
  checkConfigs(spec: NodeSpec): void {
    const problems = spec.plugins.flatMap((plugin, index) =>
      this.#checked.has(plugin)
        ? []
        : checkPluginConfig(this.manifestOf(plugin.digest), plugin.config, `/plugins/${index}/config`),
    );
    if (problems.length > 0) throw new SluiceError(problems);
    for (const plugin of spec.plugins) this.#checked.add(plugin);
  }

  /** Gives the addon what gather() found. @throws SluiceError */
  async load(spec: NodeSpec, wasms: Modules): Promise<void> {
    for (const [digest, wasm] of wasms) {
      const origin = spec.plugins.find((plugin) => plugin.digest === digest)?.origin ?? "";
      try {
        this.#manifests.set(digest, await this.#options.native.addModule(digest, wasm));
        this.#loaded.add(digest);
      } catch (error) {
        throw fromNative(error, origin);
      }
    }
  }

  /** Forgets those that `spec` does not use, as the addon does once it is live. */
  keepOnly(spec: NodeSpec): void {
    this.#loaded = new Set(spec.plugins.map(({ digest }) => digest));
    for (const digest of this.#manifests.keys()) if (!this.#loaded.has(digest)) this.#manifests.delete(digest);
  }

  manifestOf(digest: string): Manifest {
    const manifest = this.#manifests.get(digest);
    if (manifest === undefined) throw new Error(`no manifest of module ${digest}`);
    return manifest;
  }
}
