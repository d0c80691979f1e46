import { type PluginSpec, pluginSpecSchema } from "../config/schema.js";
import { loadModule, type PluginModule } from "../plugins/own.js";
import type { OwnStage } from "../resources/plugin.js";

export type OwnModules = Record<OwnStage, PluginModule>;

/** @throws SluiceError "unreadable-file" */
export function loadModules(): OwnModules {
  return { policy: loadModule("policy"), nat: loadModule("nat") };
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
