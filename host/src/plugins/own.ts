import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readManifest } from "@sluice/sdk/build";
import type { Hook } from "../config/schema.js";
import { messageOf, SluiceError } from "../errors.js";
import type { OwnModule } from "../resources/plugin.js";
import { digestOf } from "./builder.js";

/** A compiled plugin that Sluice brings along. */
export interface PluginModule {
  readonly name: OwnModule;
  readonly digest: string;
  readonly wasm: Uint8Array;
  /** Of its manifest. */
  readonly hooks: readonly Hook[];
}

/** @throws SluiceError "unreadable-file" */
export function loadModule(name: OwnModule): PluginModule {
  const file = fileURLToPath(new URL(`../../../plugins/${name}/build/${name}.wasm`, import.meta.url));
  try {
    const wasm = readFileSync(file);
    return { name, digest: digestOf(wasm), wasm, hooks: readManifest(wasm).hooks };
  } catch (error) {
    throw SluiceError.of("unreadable-file", file, `${messageOf(error)}; run the set-up (npm run setup)`, {
      cause: error,
    });
  }
}
