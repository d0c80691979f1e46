import { z } from "zod";
import { HOOKS, type Hook } from "../config/schema.js";
import { integer } from "../config/values.js";
import { labels, release, stageNames } from "./values.js";

const hookStages = stageNames.optional();
const shape = Object.fromEntries(
  HOOKS.map((hook) => [hook, hookStages.describe(`Stages of ${hook}, in their order.`)]),
) as Record<Hook, typeof hookStages>;

/** Which stages run in a hook, and in what order. Of several that select a node the highest priority holds, then the first by name. */
export const pipelineSpec = z.object({
  nodeSelector: labels.default({}).describe("Labels of the nodes meant; all nodes where empty."),
  priority: integer(-1000, 1000).default(0).describe("Of several objects that select a node, the highest holds."),
  release: release.describe(
    "Any word. Its Plugins' versions with the same one go live together with it, in one transaction on each node, once all are there; when one of them fails the node goes back to the last release as a whole.",
  ),
  hooks: z
    .object(shape)
    .prefault({})
    .describe(
      "A hook that is here runs these stages and no others, in this order; policy and nat are Sluice's own. A hook that is not here runs all stages that have it, as their before, after and priority say.",
    ),
});

export type PipelineSpec = z.output<typeof pipelineSpec>;
