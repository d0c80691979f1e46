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
/** The digests that a snapshot refers to, those of older revisions included. */
export function digestsOf(snapshot) {
    const revisions = Object.values(snapshot.histories).flat();
    return new Set([...snapshot.spec.plugins, ...revisions.map(({ plugin }) => plugin)].map(({ digest }) => digest));
}
//# sourceMappingURL=store.js.map