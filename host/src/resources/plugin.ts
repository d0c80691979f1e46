import { z } from "zod";
import { FAILURE_STRATEGIES, HOOKS } from "../config/schema.js";
import { flag, integer, nonEmpty, oneOf } from "../config/values.js";
import { celRule, celRules } from "./cel.js";
import { keyReference, labelSelector, labels, objectReference, oneField, release, stageNames } from "./values.js";

/** Characters of source that a Plugin holds itself: etcd takes 1.5 MiB an object, and kubectl keeps a copy in an annotation. */
export const MAX_INLINE = 262_144;
/** The stages that Sluice brings along, by the names that other stages, pipelines and `replaces` know them by. */
export const OWN_STAGES = ["policy", "nat"] as const;
export type OwnStage = (typeof OWN_STAGES)[number];
/** The modules that it brings along. */
export const OWN_MODULES = ["policy", "nat", "srv6"] as const;
export type OwnModule = (typeof OWN_MODULES)[number];

const SHA256 = "a sha-256 digest of 64 hex digits in lower case";
const URL_TEXT = "an http or https URL of up to 2048 characters, without a user in it";
const OCI = "an OCI reference such as registry.example.com/team/name:tag or registry.example.com/team/name@sha256:...";

const url = z.object({
  url: z
    .string({ error: URL_TEXT })
    .max(2048, { error: URL_TEXT })
    .refine(isPlainUrl, { error: URL_TEXT })
    .meta({ pattern: "^https?://[^@\\s]+$" })
    .describe("Where the module is, a .wasm."),
  sha256: z
    .string({ error: SHA256 })
    .regex(/^[0-9a-f]{64}$/, { error: SHA256 })
    .describe("Its digest; another module is refused."),
});

const oci = z.object({
  reference: z
    .string({ error: OCI })
    .max(512, { error: OCI })
    .regex(/^[a-zA-Z0-9.-]+(:[0-9]+)?\/[a-z0-9._/-]+(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$/, {
      error: OCI,
    })
    .describe(
      "Registry, repository, and a tag or a digest. Its tag is resolved to a digest before anything is fetched.",
    ),
  pullPolicy: oneOf(["IfNotPresent", "Always"])
    .default("IfNotPresent")
    .describe("Always: a tag is resolved anew every five minutes. IfNotPresent: once for each change of the Plugin."),
  pullSecret: objectReference.optional().describe("A Secret of type kubernetes.io/dockerconfigjson."),
  plainHttp: flag.default(false).describe("Speaks to the registry without TLS."),
});

const SOURCES = ["inline", "configMap", "url", "oci", "own", "digest"] as const;
const oneSource = oneField(SOURCES);

const source = z
  .object({
    inline: nonEmpty
      .max(MAX_INLINE, { error: `AssemblyScript of up to ${MAX_INLINE} characters` })
      .optional()
      .describe("AssemblyScript, which is compiled. It can import nothing but @sluice/sdk."),
    configMap: keyReference.optional().describe("A .wasm in a ConfigMap's binaryData, or AssemblyScript in its data."),
    url: url.optional().describe("A .wasm from an HTTP server."),
    oci: oci.optional().describe("A .wasm from an OCI registry, as sluice-plugin push puts it there."),
    own: oneOf(OWN_MODULES).optional().describe("A module that Sluice brings along."),
    digest: z
      .string({ error: SHA256 })
      .regex(/^[0-9a-f]{64}$/, { error: SHA256 })
      .optional()
      .describe("The module of an earlier version of this Plugin, by its sha-256: one of status.history."),
  })
  .refine(oneSource.check, { error: oneSource.message })
  .meta(oneSource.cel);

const WHERE_PODS = "podSelector and namespaceSelector only with packets: Pods";
const placement = z
  .object({
    nodeSelector: labels.default({}).describe("Labels of the nodes meant; all nodes where empty."),
    packets: oneOf(["All", "Uplink", "Pods"])
      .default("All")
      .describe("All packets of the node, those of its uplink, or those of the pods that the selectors select."),
    podSelector: labelSelector.optional().describe("Of Pods; absent: all pods of the namespaces."),
    namespaceSelector: labelSelector.optional().describe("Of Pods; absent: all namespaces."),
  })
  .refine((value) => value.packets === "Pods" || !(value.podSelector ?? value.namespaceSelector), {
    error: WHERE_PODS,
    path: ["packets"],
  })
  .meta(
    celRule(
      "(has(self.packets) && self.packets == 'Pods') || !(has(self.podSelector) || has(self.namespaceSelector))",
      WHERE_PODS,
      ".packets",
    ),
  );

const oneConfigSource = oneField(["configMap", "secret"]);
const configFrom = z
  .object({
    configMap: keyReference.optional().describe("YAML or JSON in a ConfigMap; it is followed."),
    secret: keyReference.optional().describe("YAML or JSON in a Secret; it is followed."),
  })
  .refine(oneConfigSource.check, { error: oneConfigSource.message })
  .meta(oneConfigSource.cel);

const rollout = z.object({
  strategy: oneOf(["AllAtOnce", "NodeByNode", "Shadow"])
    .default("AllAtOnce")
    .describe(
      "AllAtOnce: every node as soon as it can. NodeByNode: one after the other, no further while one is in trouble. Shadow: each node first compares the new version with the live one on copies of its packets. A version that fails on one node goes back to the one before it on all of them.",
    ),
  settleSeconds: integer(0, 3600, "seconds")
    .default(10)
    .describe("Of NodeByNode: how long a node must be well before the next one."),
  shadow: z
    .object({
      packets: integer(1, 10_000_000, "packets").default(1000).describe("Live packets that are compared."),
      maxDifferences: integer(0, 10_000_000, "packets")
        .default(0)
        .describe("Packets whose verdict or bytes may differ."),
      timeoutSeconds: integer(1, 3600, "seconds").default(30).describe("What was seen by then is judged."),
    })
    .prefault({})
    .describe("Of Shadow."),
});

/** A plugin's own: its manifest has the schema. */
const config = z.looseObject({}, { error: "a mapping, as the plugin's manifest says" });

const ONE_CONFIG = "just one of config and configFrom";
const NO_CONFIG = "neither config nor configFrom with replaces: it gets what Sluice's own stage would";

/** What of a version the nodes need to know as it is. */
export const versionFields = {
  before: stageNames.default([]).describe("Stages that come after it, where they are in the same hook."),
  after: stageNames.default([]).describe("Stages that come before it, where they are in the same hook."),
  priority: integer(-1000, 1000).default(0).describe("Lower runs first, where before and after leave it open."),
  placement: placement.prefault({}).describe("Where it runs."),
  replaces: oneOf(OWN_STAGES)
    .optional()
    .describe("One of Sluice's own stages that it takes the place of, with its name, place and configuration."),
  config: config.optional().describe("As its manifest's schema says."),
  failure: oneOf(FAILURE_STRATEGIES)
    .optional()
    .describe("What becomes of packets when it traps or takes too long; absent: as its manifest says."),
  budgetUs: integer(10, 1_000_000, "microseconds")
    .default(10_000)
    .describe("Longest that one call may take, in microseconds."),
  resetFlowState: flag
    .default(false)
    .describe("A version whose flow state can't be made from the last one's begins with none."),
  release: release.describe(
    "Of a Plugin that a Pipeline with a release lists: goes live together with the Pipeline of the same one, and not before.",
  ),
  rollout: rollout.prefault({}).describe("How a new version comes to the nodes."),
};

/** A stage on the nodes' packets. */
export const pluginSpecification = z
  .object({
    source: source.describe("The module, or what it is compiled from."),
    hooks: z
      .array(oneOf(HOOKS), { error: "a list of hooks" })
      .min(1, { error: "at least one hook" })
      .max(HOOKS.length, { error: "each hook once" })
      .optional()
      .meta({ "x-kubernetes-list-type": "set" })
      .describe("Of its manifest's hooks those that it runs in; absent: all of them."),
    configFrom: configFrom.optional().describe("Where its configuration is instead."),
    ...versionFields,
  })
  .superRefine((spec, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: "custom", path: [path], message });
    if (spec.config !== undefined && spec.configFrom !== undefined) issue("configFrom", ONE_CONFIG);
    if (spec.replaces !== undefined && (spec.config ?? spec.configFrom) !== undefined) issue("replaces", NO_CONFIG);
  })
  .meta(
    celRules(
      { rule: "!(has(self.config) && has(self.configFrom))", message: ONE_CONFIG, fieldPath: ".configFrom" },
      {
        rule: "!has(self.replaces) || !(has(self.config) || has(self.configFrom))",
        message: NO_CONFIG,
        fieldPath: ".replaces",
      },
    ),
  );

export type PluginSpecification = z.output<typeof pluginSpecification>;
export type PluginSource = PluginSpecification["source"];

function isPlainUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && username === "" && password === "";
}
