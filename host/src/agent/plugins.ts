import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readManifest } from "@sluice/sdk/build";
import { type Hook, type PluginSpec, pluginSpecSchema } from "../config/schema.js";
import { messageOf, SluiceError } from "../errors.js";
import { digestOf } from "../plugins/builder.js";

export const AGENT_PLUGINS = ["policy", "nat"] as const;
export type AgentPlugin = (typeof AGENT_PLUGINS)[number];

/** A compiled plugin that the agent brings along. */
export interface PluginModule {
  readonly name: AgentPlugin;
  readonly digest: string;
  readonly wasm: Uint8Array;
  /** Of its manifest. */
  readonly hooks: readonly Hook[];
}

/** @throws SluiceError "unreadable-file" */
export function loadModules(): Record<AgentPlugin, PluginModule> {
  const load = (name: AgentPlugin): PluginModule => {
    const file = fileURLToPath(new URL(`../../../plugins/${name}/build/${name}.wasm`, import.meta.url));
    try {
      const wasm = readFileSync(file);
      return { name, digest: digestOf(wasm), wasm, hooks: readManifest(wasm).hooks };
    } catch (error) {
      throw SluiceError.of("unreadable-file", file, `${messageOf(error)}; run the set-up (npm run setup)`, {
        cause: error,
      });
    }
  };
  return { policy: load("policy"), nat: load("nat") };
}

/** @param more what is not by default */
export function pluginSpec(
  { name: origin, digest }: PluginModule,
  name: string,
  config: object,
  more: Partial<PluginSpec> = {},
): PluginSpec {
  // Configurations are the translation's own, and large: they are not walked through once more.
  const spec = pluginSpecSchema.parse({ name, digest, origin: `${origin}.wasm`, ...more });
  return { ...spec, config: config as PluginSpec["config"] };
}
