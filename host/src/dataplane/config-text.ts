import type { PluginSpec } from "../config/schema.js";
import { perObject } from "../per-object.js";

/** Most transactions change no configuration, and some are megabytes of text. */
const objectText = perObject((config: object): string => JSON.stringify(config));

/** A plugin's configuration as JSON text; undefined: it has none. */
export function configText(config: PluginSpec["config"]): string | undefined {
  if (typeof config === "object" && config !== null) return objectText(config);
  return config === undefined ? undefined : JSON.stringify(config);
}
