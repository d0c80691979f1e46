import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import type { PluginSpec } from "../config/schema.js";
import { pluginSpecSchema } from "../config/schema.js";

/** A version of a plugin that was live: module and configuration together. */
export const revisionSchema = z.strictObject({
  /** One more than that of the version it took over from. */
  number: z.int().min(1),
  plugin: pluginSpecSchema,
  version: z.string(),
  /** ISO 8601, UTC. */
  appliedAt: z.string(),
});
export type Revision = z.output<typeof revisionSchema>;

/** Oldest first; the last one is live. */
export type History = readonly Revision[];

/** Revisions kept of each plugin, the live one included. */
export const KEPT_REVISIONS = 6;

/** The history once `plugin` is live. The same module with the same settings is no new revision. */
export function recordRevision(history: History, plugin: PluginSpec, version: string, appliedAt: string): History {
  const live = history.at(-1);
  if (live !== undefined && isDeepStrictEqual(live.plugin, plugin)) return history;
  return [...history, { number: (live?.number ?? 0) + 1, plugin, version, appliedAt }].slice(-KEPT_REVISIONS);
}

/** The version to roll back to: the one before the live one, or the one asked for. */
export function rollbackTarget(history: History, revision?: number): Revision | undefined {
  return revision === undefined ? history.at(-2) : history.slice(0, -1).find(({ number }) => number === revision);
}

/** The history once `target` is live again: what came after it was rolled back from, and is forgotten. */
export function rolledBack(history: History, target: Revision): History {
  return history.filter(({ number }) => number <= target.number);
}
