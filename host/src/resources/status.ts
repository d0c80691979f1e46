import { z } from "zod";

const count = z.int32().min(0);
const time = z.string().meta({ format: "date-time" });

/** As in the Kubernetes API conventions. */
const condition = z.object({
  type: z.string().describe("Accepted, Programmed or Ready."),
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string().describe("One word for why."),
  message: z.string().describe("For people: what is wrong, where, and what to do."),
  observedGeneration: count.optional().describe("Of the object that this is about."),
  lastTransitionTime: time.describe("When the status was last another one."),
});

export type Condition = z.output<typeof condition>;

const conditions = z
  .array(condition)
  .optional()
  .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] })
  .describe("What became of the object.");

export const nodeConfigStatus = z
  .object({
    conditions,
    nodes: count.optional().describe("Nodes that run with it."),
    readyNodes: count.optional().describe("Those of them whose dataplane does what it says."),
  })
  .describe("Written by the reflector.");

export const ipPoolStatus = z
  .object({
    conditions,
    blocks: count.optional().describe("Blocks that nodes have."),
    capacity: z.string().optional().describe("Blocks that there are; IPv6 pools may have more than a number can hold."),
  })
  .describe("Written by the reflector.");

export type NodeConfigStatus = z.output<typeof nodeConfigStatus>;
export type IpPoolStatus = z.output<typeof ipPoolStatus>;
