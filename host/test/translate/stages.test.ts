import { describe, expect, test } from "vitest";
import { type PipelineRecord, pipelineRecord, pluginVersion } from "../../src/cluster/records.js";
import type { NodePlugin } from "../../src/cluster/versions.js";
import { parseNodeSpec } from "../../src/config/load.js";
import { type Hook, pluginSpecSchema } from "../../src/config/schema.js";
import { formatProblem } from "../../src/errors.js";
import { holdingFor } from "../../src/resources/select.js";
import { nodeStages, type OwnPlugin, type StagesInput } from "../../src/translate/stages.js";

const DIGEST = { nat: "a".repeat(64), policy: "b".repeat(64), user: "c".repeat(64), next: "d".repeat(64) };

const own = (role: "nat" | "policy", name: string, hooks: readonly Hook[], before: string[] = []): OwnPlugin => ({
  role,
  hooks,
  plugin: pluginSpecSchema.parse({ name, digest: DIGEST[role], origin: `${role}.wasm`, before, config: { role } }),
});

const OWN = [
  own("nat", "nat", ["prerouting", "postrouting"]),
  own("policy", "policy-egress", ["forward"], ["policy-ingress"]),
  own("policy", "policy-ingress", ["forward"]),
];

interface VersionInput {
  digest?: string;
  hooks?: Hook[];
  [field: string]: unknown;
}

const version = (change: VersionInput) => ({
  id: "1",
  generation: 1,
  digest: DIGEST.user,
  origin: "inline",
  source: "",
  hooks: ["forward"],
  ...change,
});

/** @param day when it was made: older ones have their way */
const plugin = (name: string, change: VersionInput = {}, day = 1): NodePlugin => ({
  name,
  createdAt: `2026-01-0${day}T00:00:00Z`,
  version: pluginVersion.parse(version(change)),
});

const pipeline = (hooks: object, change: object = {}, name = "default"): PipelineRecord =>
  pipelineRecord.parse({ name, uid: name, generation: 1, spec: { hooks, ...change } });

const INPUT: StagesInput = {
  node: { name: "node-a", labels: { zone: "x" } },
  own: OWN,
  plugins: [],
  pipeline: undefined,
  uplinkPorts: ["uplink"],
  pods: [
    { labels: { app: "web" }, namespaceLabels: { team: "shop" }, ports: ["web-1", "web-2"] },
    { labels: { app: "db" }, namespaceLabels: { team: "shop" }, ports: ["db-1"] },
    { labels: { app: "web" }, namespaceLabels: { team: "lab" }, ports: ["lab-1"] },
  ],
};

const PORTS = ["uplink", "web-1", "web-2", "db-1", "lab-1"].map((name) => ({ name, kind: "null" }));

/** Translates, and holds what comes out against what the dataplane takes. */
function translate(change: Partial<StagesInput>) {
  const { plugins, pipeline: order, problems } = nodeStages({ ...INPUT, ...change });
  parseNodeSpec({ name: "node-a", ports: PORTS, plugins, pipeline: order });
  return { plugins, order, problems: problems.map(formatProblem) };
}

interface Row {
  what: string;
  plugins?: NodePlugin[];
  pipelines?: PipelineRecord[];
  order: Partial<Record<Hook, string[]>>;
  problems?: string[];
}

const PLAIN = { prerouting: ["nat"], forward: ["policy-egress", "policy-ingress"], postrouting: ["nat"] };

describe("the order of a hook's stages", () => {
  const ROWS: Row[] = [
    { what: "without Plugins: Sluice's own", order: PLAIN },
    {
      what: "a Plugin runs in the hooks that its version has, by name where nothing else decides",
      plugins: [plugin("guard", { hooks: ["prerouting", "forward"] })],
      order: { ...PLAIN, prerouting: ["guard", "nat"], forward: ["guard", "policy-egress", "policy-ingress"] },
    },
    {
      what: "after policy: after both of its directions",
      plugins: [plugin("count", { after: ["policy"] })],
      order: { ...PLAIN, forward: ["policy-egress", "policy-ingress", "count"] },
    },
    {
      what: "a high priority comes late",
      plugins: [plugin("a", { priority: 5 }), plugin("b", { priority: -5 })],
      order: { ...PLAIN, forward: ["b", "policy-egress", "policy-ingress", "a"] },
    },
    {
      what: "before a stage that is not on the node: no matter",
      plugins: [plugin("guard", { before: ["elsewhere"], after: ["policy"] })],
      order: { ...PLAIN, forward: ["policy-egress", "policy-ingress", "guard"] },
    },
    {
      what: "of two that can't be ordered the newer one is left out, and all others run",
      plugins: [
        plugin("a", { before: ["b"] }, 2),
        plugin("b", { before: ["a"] }, 1),
        plugin("c", { after: ["policy"] }, 3),
      ],
      order: { ...PLAIN, forward: ["b", "policy-egress", "policy-ingress", "c"] },
      problems: [
        "impossible-order /plugins/a: left out, as it can't be ordered with the others: a -> b -> a (a has before: b, b has before: a); take one of these constraints away",
      ],
    },
    {
      what: "one that is to come before itself is left out",
      plugins: [plugin("a", { before: ["a"] })],
      order: PLAIN,
      problems: [
        "impossible-order /plugins/a: left out, as it can't be ordered with the others: a -> a (a has before: a); take one of these constraints away",
      ],
    },
    {
      what: "a Pipeline's hook has its stages and no others; its other hooks are as without it",
      plugins: [plugin("guard", { hooks: ["prerouting", "forward"] }), plugin("other")],
      pipelines: [pipeline({ forward: ["policy", "guard"] })],
      order: {
        ...PLAIN,
        prerouting: ["guard", "nat"],
        forward: ["policy-egress", "policy-ingress", "guard"],
      },
    },
    {
      what: "a Pipeline's empty hook has no stage; who has no hook left is not loaded",
      pipelines: [pipeline({ forward: [], prerouting: [], postrouting: [] })],
      order: {},
    },
    {
      what: "of several Pipelines that select the node one holds",
      pipelines: [
        pipeline({ forward: [] }, { nodeSelector: { zone: "y" }, priority: 9 }, "elsewhere"),
        pipeline({ prerouting: [] }, { priority: 1 }, "one"),
        pipeline({ postrouting: [] }, {}, "a"),
      ],
      order: { forward: PLAIN.forward, postrouting: ["nat"] },
    },
    {
      what: "a Pipeline that lists a stage that there is not: the others run",
      pipelines: [pipeline({ forward: ["gaurd", "policy"] })],
      order: PLAIN,
      problems: [
        "unknown-stage /pipelines/default/spec/hooks/forward/0: no Plugin gaurd can be used; the others run without it",
      ],
    },
    {
      what: "a Plugin that contradicts the Pipeline is left out",
      plugins: [plugin("guard", { after: ["policy"] })],
      pipelines: [pipeline({ forward: ["guard", "policy"] })],
      order: PLAIN,
      problems: [
        "impossible-order /plugins/guard: left out, as it can't be ordered with the others: guard -> policy-egress -> guard (pipeline lists guard before policy-egress, guard has after: policy-egress); take one of these constraints away",
      ],
    },
  ];
  test.each(ROWS)("$what", ({ plugins = [], pipelines = [], order, problems = [] }) => {
    const found = translate({ plugins, pipeline: holdingFor(INPUT.node.labels, pipelines) });
    const full = { prerouting: [], forward: [], postrouting: [], input: [], output: [], ...order };
    expect(found.order).toEqual(full);
    expect(found.problems).toEqual(problems);
    expect(new Set(found.plugins.map(({ name }) => name))).toEqual(new Set(Object.values(full).flat()));
  });
});

describe("the packets that a stage sees", () => {
  const pods = (change: object) => ({ placement: { packets: "Pods", ...change } });
  const ROWS: [what: string, change: VersionInput, scope: string[] | undefined][] = [
    ["all of them", {}, []],
    ["the uplink's", { placement: { packets: "Uplink" } }, ["uplink"]],
    ["all pods'", pods({}), ["web-1", "web-2", "db-1", "lab-1"]],
    ["those of pods by label", pods({ podSelector: { matchLabels: { app: "web" } } }), ["web-1", "web-2", "lab-1"]],
    [
      "those of pods by label and namespace",
      pods({
        podSelector: { matchLabels: { app: "web" } },
        namespaceSelector: { matchExpressions: [{ key: "team", operator: "NotIn", values: ["lab"] }] },
      }),
      ["web-1", "web-2"],
    ],
    [
      "none: it is not loaded, as no scope would mean all packets",
      pods({ podSelector: { matchLabels: { app: "none" } } }),
      undefined,
    ],
    ["none, on a node that is not meant", { placement: { nodeSelector: { zone: "y" } } }, undefined],
    ["all, on a node that is meant", { placement: { nodeSelector: { zone: "x" } } }, []],
  ];
  test.each(ROWS)("%s", (_, change, scope) => {
    const { plugins, problems } = translate({ plugins: [plugin("user", change)] });
    expect(plugins.find(({ name }) => name === "user")?.scope).toEqual(scope);
    expect(problems).toEqual([]);
  });
});

test("a version's settings reach the dataplane", () => {
  const change = { config: { limit: 3 }, failure: "FailOpen", budgetUs: 50, resetFlowState: true, priority: 7 };
  expect(translate({ plugins: [plugin("user", change)] }).plugins.at(-1)).toEqual({
    ...{ name: "user", digest: DIGEST.user, origin: "inline", scope: [], before: [], after: [] },
    ...change,
  });
});

describe("one that replaces a stage of Sluice's own", () => {
  test("has its names, its place and its configuration, with another module", () => {
    const { plugins, order } = translate({ plugins: [plugin("mine", { replaces: "policy", budgetUs: 99 })] });
    expect(order).toMatchObject(PLAIN);
    const policies = plugins.filter(({ name }) => name.startsWith("policy-"));
    expect(policies.map(({ digest, budgetUs, config }) => ({ digest, budgetUs, config }))).toEqual(
      Array(2).fill({ digest: DIGEST.user, budgetUs: 99, config: { role: "policy" } }),
    );
    expect(policies[0]?.before).toEqual(["policy-ingress"]);
  });

  test("is the older of two that would", () => {
    const { plugins, problems } = translate({
      plugins: [
        plugin("newer", { replaces: "nat", digest: DIGEST.next, hooks: ["prerouting"] }, 2),
        plugin("older", { replaces: "nat", hooks: ["prerouting", "postrouting"] }),
      ],
    });
    expect(plugins.find(({ name }) => name === "nat")?.digest).toBe(DIGEST.user);
    expect(problems).toEqual([
      "replaced-already /plugins/newer/spec/replaces: older replaces nat already; remove one of the two",
    ]);
  });

  test("runs on its nodes only; others keep Sluice's own", () => {
    const { plugins } = translate({
      plugins: [plugin("mine", { replaces: "nat", placement: { nodeSelector: { zone: "y" } } })],
    });
    expect(plugins.find(({ name }) => name === "nat")?.digest).toBe(DIGEST.nat);
  });
});

test("each stage that is of a user's Plugin is known to be", () => {
  const plugins = [plugin("guard"), plugin("mine", { replaces: "policy" })];
  expect([...nodeStages({ ...INPUT, plugins }).owners].sort()).toEqual([
    ["guard", "guard"],
    ["policy-egress", "mine"],
    ["policy-ingress", "mine"],
  ]);
});
