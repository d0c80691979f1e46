import { z } from "zod";

const count = z.int32().min(0);
const time = z.string().meta({ format: "date-time" });

/** As in the Kubernetes API conventions. */
const condition = z.object({
  type: z.string().describe("Accepted, Compiled, Programmed or Ready."),
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

const digest = z.string().describe("sha-256 of the module, hex.");

export const pluginStatus = z
  .object({
    conditions,
    nodes: count.optional().describe("Nodes that it is to run on."),
    readyNodes: count.optional().describe("Those of them that run this version."),
    digest: digest.optional(),
    previousDigest: digest.optional().describe("Of the version before this one."),
    lastError: z
      .object({
        node: z.string(),
        message: z.string(),
        source: z.string().optional().describe("File and line of the plugin's source."),
        packet: z.string().optional().describe("Summary of the packet that it happened with."),
        time,
      })
      .optional()
      .describe("What went wrong last on a node."),
  })
  .describe("Written by the reflector.");

export const pipelineStatus = z
  .object({ conditions, nodes: count.optional().describe("Nodes that run with it.") })
  .describe("Written by the reflector.");

export type PluginStatus = z.output<typeof pluginStatus>;
export type PipelineStatus = z.output<typeof pipelineStatus>;
export type NodeConfigStatus = z.output<typeof nodeConfigStatus>;
export type IpPoolStatus = z.output<typeof ipPoolStatus>;
