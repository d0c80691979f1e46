import { createHash } from "node:crypto";
import type { PluginRecord, PluginVersion } from "./records.js";

/** A Plugin as one node is to run it. */
export interface NodePlugin {
  readonly name: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly version: PluginVersion;
}

/** Undefined: not at all. */
export function nodePlugin({ name, createdAt, live, next }: PluginRecord, node: string): NodePlugin | undefined {
  const version = next !== undefined && hasReached(next, node) ? next.version : live;
  return version === undefined ? undefined : { name, createdAt, version };
}

/** Whether the version that is under way has come to a node. */
export function hasReached({ version, through }: NonNullable<PluginRecord["next"]>, node: string): boolean {
  return version.rollout.strategy !== "NodeByNode" || (through !== undefined && node <= through);
}

/** The same for versions of one Plugin that are the same in all. */
export function withId(uid: string, version: Omit<PluginVersion, "id">): PluginVersion {
  return { id: hashOf(uid, JSON.stringify(sortedKeys(version))).slice(0, 16), ...version };
}

export const hashOf = (...parts: string[]): string => createHash("sha256").update(parts.join("\0")).digest("hex");

/** With the keys of all mappings in order: APIs give them in orders of their own. */
export function sortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [key, sortedKeys(one)]),
  );
}
