import { isDeepStrictEqual } from "node:util";
import { stringify } from "yaml";
import { z } from "zod";
import { ipPoolSpec } from "./ip-pool.js";
import { nodeConfigSpec } from "./node-config.js";
import { pipelineSpec } from "./pipeline.js";
import { pluginSpecification } from "./plugin.js";
import { ipPoolStatus, nodeConfigStatus, pipelineStatus, pluginStatus } from "./status.js";

export const GROUP = "sluice.dev";
export const VERSION = "v1alpha1";

interface Column {
  readonly name: string;
  readonly type: "string" | "integer" | "boolean" | "date";
  readonly jsonPath: string;
  readonly description?: string;
  /** Above 0: only in wide output. */
  readonly priority?: number;
}

interface Resource {
  readonly kind: string;
  readonly plural: string;
  readonly shortName: string;
  readonly description: string;
  readonly spec: z.ZodType;
  readonly status: z.ZodType;
  readonly columns: readonly Column[];
}

const conditionColumn = (type: string, priority = 0): Column => ({
  name: type,
  type: "string",
  jsonPath: `.status.conditions[?(@.type=='${type}')].status`,
  ...(priority === 0 ? {} : { priority }),
});

const AGE: Column = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };

export const RESOURCES: readonly Resource[] = [
  {
    kind: "NodeConfig",
    plural: "nodeconfigs",
    shortName: "nc",
    description:
      "How nodes run their dataplane. Of several that select a node the highest priority holds, then the first by name.",
    spec: nodeConfigSpec,
    status: nodeConfigStatus,
    columns: [
      { name: "Transport", type: "string", jsonPath: ".spec.transport" },
      { name: "Workers", type: "integer", jsonPath: ".spec.workers" },
      { name: "Driver", type: "string", jsonPath: ".spec.uplink.driver", priority: 1 },
      { name: "Nodes", type: "integer", jsonPath: ".status.nodes" },
      conditionColumn("Accepted"),
      conditionColumn("Programmed", 1),
      conditionColumn("Ready"),
      AGE,
    ],
  },
  {
    kind: "IPPool",
    plural: "ippools",
    shortName: "ipp",
    description: "Addresses of pods. Nodes get blocks of it, pods get addresses of their node's blocks.",
    spec: ipPoolSpec,
    status: ipPoolStatus,
    columns: [
      { name: "CIDR", type: "string", jsonPath: ".spec.cidr" },
      { name: "Blocks", type: "integer", jsonPath: ".status.blocks", description: "that nodes have" },
      { name: "Capacity", type: "string", jsonPath: ".status.capacity", priority: 1 },
      { name: "Disabled", type: "boolean", jsonPath: ".spec.disabled", priority: 1 },
      conditionColumn("Accepted"),
      conditionColumn("Ready"),
      AGE,
    ],
  },
  {
    kind: "Plugin",
    plural: "plugins",
    shortName: "plg",
    description: "A stage on the nodes' packets: its source, its place among the others, its configuration.",
    spec: pluginSpecification,
    status: pluginStatus,
    columns: [
      { name: "Ready-Nodes", type: "integer", jsonPath: ".status.readyNodes" },
      { name: "Nodes", type: "integer", jsonPath: ".status.nodes" },
      { name: "Digest", type: "string", jsonPath: ".status.digest", priority: 1 },
      conditionColumn("Accepted"),
      conditionColumn("Compiled", 1),
      conditionColumn("Programmed", 1),
      conditionColumn("Ready"),
      AGE,
    ],
  },
  {
    kind: "Pipeline",
    plural: "pipelines",
    shortName: "pl",
    description:
      "Which stages run in a hook, and in what order. Of several that select a node the highest priority holds, then the first by name.",
    spec: pipelineSpec,
    status: pipelineStatus,
    columns: [
      { name: "Release", type: "string", jsonPath: ".spec.release", priority: 1 },
      { name: "Nodes", type: "integer", jsonPath: ".status.nodes" },
      conditionColumn("Accepted"),
      conditionColumn("Programmed"),
      AGE,
    ],
  },
];

/** A resource's CustomResourceDefinition. */
export function crdOf(resource: Resource): object {
  const { kind, plural, shortName, description, columns } = resource;
  const singular = kind.toLowerCase();
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: "Cluster",
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames: [shortName], categories: ["sluice"] },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns,
          schema: {
            openAPIV3Schema: {
              type: "object",
              description,
              required: ["spec"],
              properties: {
                apiVersion: { type: "string" },
                kind: { type: "string" },
                metadata: { type: "object" },
                spec: openApi(resource.spec),
                status: openApi(resource.status),
              },
            },
          },
        },
      ],
    },
  };
}

/** Files of all CRDs: their names and texts. */
export function crdFiles(): { name: string; text: string }[] {
  return RESOURCES.map((resource) => ({
    name: `${GROUP}_${resource.plural}.yaml`,
    text: `# Made from host/src/resources/ by npm run crds.\n${stringify(crdOf(resource), { lineWidth: 120 })}`,
  }));
}

/** A schema as the API server takes it: structural, with unknown fields dropped instead of refused. */
function openApi(schema: z.ZodType): unknown {
  return structural(z.toJSONSchema(schema, { target: "openapi-3.0", io: "input" }));
}

function structural(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(structural);
  if (typeof node !== "object" || node === null) return node;
  return Object.fromEntries(
    Object.entries(node).flatMap(([key, value]) => {
      if (key === "additionalProperties" && value === false) return [];
      // Any field: only its reader knows which.
      if (key === "additionalProperties" && isDeepStrictEqual(value, {})) {
        return [["x-kubernetes-preserve-unknown-fields", true]];
      }
      return [[key, structural(value)]];
    }),
  );
}
