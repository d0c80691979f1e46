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

/** What became of a version. */
export const OUTCOMES = ["RollingOut", "Live", "Superseded", "RolledBack"] as const;

/** Also how it is in Sluice's etcd. */
export const pastVersion = z.object({
  generation: count.describe("Of the Plugin that it was made of."),
  digest,
  source: z.string().describe("Where its module came from, for people."),
  time: time.describe("When nodes were first given it."),
  outcome: z
    .enum(OUTCOMES)
    .describe("RollingOut, Live, Superseded by a later one, or RolledBack: it failed, and went back by itself."),
  message: z.string().optional().describe("Of RolledBack: why, with the node."),
});

export type PastVersion = z.output<typeof pastVersion>;

export const pluginStatus = z
  .object({
    conditions,
    nodes: count.optional().describe("Nodes that it is to run on."),
    readyNodes: count.optional().describe("Those of them that run the version that they should."),
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
    history: z
      .array(pastVersion)
      .optional()
      .describe(
        "Versions that nodes were given, oldest first, at most 10. A source of digest takes one's module again.",
      ),
  })
  .describe("Written by the reflector.");

export const pipelineStatus = z
  .object({ conditions, nodes: count.optional().describe("Nodes that run with it.") })
  .describe("Written by the reflector.");

export type PluginStatus = z.output<typeof pluginStatus>;
export type PipelineStatus = z.output<typeof pipelineStatus>;
export type NodeConfigStatus = z.output<typeof nodeConfigStatus>;
export type IpPoolStatus = z.output<typeof ipPoolStatus>;
