import { z } from "zod";
import { nodeSpecSchema } from "../config/schema.js";
import { revisionSchema } from "../plugins/history.js";

/** What a node was last made to be: enough to make it so again, and to roll its plugins back. */
export const snapshotSchema = z.strictObject({
  format: z.literal(1),
  spec: nodeSpecSchema,
  /** By plugin name. */
  histories: z.record(z.string(), z.array(revisionSchema)),
});
export type Snapshot = z.output<typeof snapshotSchema>;

/** Modules by sha-256 digest in hex. */
export type Modules = ReadonlyMap<string, Uint8Array>;

/** A snapshot that is on its way: written, but not yet the one that load() gives. */
export interface PendingSnapshot {
  /** Makes it the current one. */
  commit(): Promise<void>;
  /** Forgets it. */
  abort(): Promise<void>;
}

/** Where a dataplane keeps its state. Its implementations differ in what they outlive. */
export interface Store {
  /** The last committed snapshot. @throws SluiceError "store-corrupt" rather than give half of one */
  load(): Promise<Snapshot | undefined>;
  /** A module that a committed or pending snapshot refers to. @throws SluiceError "unknown-module" */
  module(digest: string): Promise<Uint8Array>;
  /** Writes a snapshot and the modules that are new in it; all that can fail fails here and not in commit(). */
  prepare(snapshot: Snapshot, added: Modules): Promise<PendingSnapshot>;
}

/** The digests that a snapshot refers to, those of older revisions included. */
export function digestsOf(snapshot: Snapshot): Set<string> {
  const revisions = Object.values(snapshot.histories).flat();
  return new Set([...snapshot.spec.plugins, ...revisions.map(({ plugin }) => plugin)].map(({ digest }) => digest));
}
