import { describe, expect, test } from "vitest";
import type { PodTable } from "../../src/cluster/pod-table.js";
import type { NetworkPolicyRecord } from "../../src/cluster/records.js";
import type { PolicyConfig } from "../../src/translate/plugin-configs.js";
import { PolicyTranslation } from "../../src/translate/policies.js";
import { subtractPrefixes } from "../../src/translate/subtract.js";
import { namespace, pod, podKey, podsOf, policy } from "./records.js";

const NODE = { name: "node-a", addresses: ["192.0.2.1"] };
const OWN = "allow from 192.0.2.1";

const ports = [{ name: "http", port: 8080, protocol: "TCP" as const }];

/** web (two of them, one elsewhere), client, and in another namespace monitor. */
const clusterPods = (): PodTable =>
  podsOf(
    "node-a",
    pod("web-1", "10.1.1.1", { labels: { app: "web" }, ports }),
    pod("web-2", "10.1.2.1", { labels: { app: "web" }, ports, node: "node-b" }),
    pod("client", "10.1.1.2", { labels: { app: "client", tier: "front" } }),
    pod("monitor", "10.1.2.9", { namespace: "watch", node: "node-b" }),
    pod("daemon", "192.0.2.1", { hostNetwork: true, labels: { app: "web" } }),
  );

function translationOf(pods: PodTable, ...policies: NetworkPolicyRecord[]): PolicyTranslation {
  const translation = new PolicyTranslation(pods);
  translation.setNamespace(namespace("shop", { team: "shop" }));
  translation.setNamespace(namespace("watch", { team: "ops" }));
  for (const each of policies) translation.setPolicy(each);
  return translation;
}

const cluster = (...policies: NetworkPolicyRecord[]) => translationOf(clusterPods(), ...policies);

interface Row {
  what: string;
  policy: Partial<NetworkPolicyRecord>;
  ingress?: string[];
  egress?: string[];
}

const front = { podSelector: { matchLabels: { tier: "front" } } };
const anyPod = { podSelector: {} };

const rows: Row[] = [
  { what: "no rules: selected pods of this node get nothing", policy: {}, ingress: [OWN, "deny to 10.1.1.1"] },
  {
    what: "a rule without peers and ports lets everything in",
    policy: { ingress: [{}] },
    ingress: [OWN, "allow to 10.1.1.1", "deny to 10.1.1.1"],
  },
  {
    what: "peers by label, of the policy's own namespace",
    policy: { ingress: [{ from: [front] }] },
    ingress: [OWN, "allow from 10.1.1.2 to 10.1.1.1", "deny to 10.1.1.1"],
  },
  {
    what: "peers of other namespaces, all of their pods",
    policy: { ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: "ops" } } }] }] },
    ingress: [OWN, "allow from 10.1.2.9 to 10.1.1.1", "deny to 10.1.1.1"],
  },
  {
    what: "a selector of both picks pods in namespaces",
    policy: { ingress: [{ from: [{ namespaceSelector: {}, ...front }] }] },
    ingress: [OWN, "allow from 10.1.1.2 to 10.1.1.1", "deny to 10.1.1.1"],
  },
  {
    what: "peers that select nothing let nobody in",
    policy: { ingress: [{ from: [{ podSelector: { matchLabels: { app: "none" } } }] }] },
    ingress: [OWN, "deny to 10.1.1.1"],
  },
  {
    what: "a block less its exceptions",
    policy: { ingress: [{ from: [{ ipBlock: { cidr: "10.0.0.0/8", except: ["10.128.0.0/9"] } }] }] },
    ingress: [OWN, "allow from 10.0.0.0/9 to 10.1.1.1", "deny to 10.1.1.1"],
  },
  {
    what: "ports of a protocol go together; one without a number is all of its protocol",
    policy: {
      ingress: [
        {
          ports: [
            { protocol: "TCP", port: 80 },
            { protocol: "TCP", port: 8000, endPort: 8099 },
            { protocol: "UDP" },
            { protocol: "UDP", port: 53 },
          ],
        },
      ],
    },
    ingress: [OWN, "allow to 10.1.1.1 udp", "allow to 10.1.1.1 tcp 80,8000-8099", "deny to 10.1.1.1"],
  },
  {
    what: "a named port is the selected pod's",
    policy: { ingress: [{ ports: [{ protocol: "TCP", port: "http" }] }] },
    ingress: [OWN, "allow to 10.1.1.1 tcp 8080", "deny to 10.1.1.1"],
  },
  {
    what: "a name that the pod does not have opens nothing",
    policy: { ingress: [{ ports: [{ protocol: "TCP", port: "grpc" }] }] },
    ingress: [OWN, "deny to 10.1.1.1"],
  },
  {
    what: "egress is judged at the sender, and a named port is the peer's",
    policy: {
      podSelector: { matchLabels: { app: "client" } },
      policyTypes: ["Egress"],
      egress: [{ to: [anyPod], ports: [{ protocol: "TCP", port: "http" }] }],
    },
    egress: ["allow from 10.1.1.2 to 10.1.1.1,10.1.2.1 tcp 8080", "deny from 10.1.1.2"],
  },
  {
    what: "both types restrict both directions",
    policy: { policyTypes: ["Ingress", "Egress"], egress: [{ to: [front] }] },
    ingress: [OWN, "deny to 10.1.1.1"],
    egress: ["allow from 10.1.1.1 to 10.1.1.2", "deny from 10.1.1.1"],
  },
  {
    what: "pods on other nodes are the other nodes' business",
    policy: { namespace: "watch", podSelector: {} },
    ingress: [OWN],
  },
  {
    what: "labels by expression",
    policy: {
      podSelector: { matchExpressions: [{ key: "tier", operator: "DoesNotExist" }] },
      ingress: [
        { from: [{ podSelector: { matchExpressions: [{ key: "app", operator: "NotIn", values: ["web"] }] } }] },
      ],
    },
    ingress: [OWN, "allow from 10.1.1.2 to 10.1.1.1", "deny to 10.1.1.1"],
  },
];

describe("a network policy on a node", () => {
  test.each(rows)("$what", ({ policy: change, ingress = [OWN], egress = [] }) => {
    const translated = cluster(policy(change)).translate(NODE);
    expect({ ingress: lines(translated.ingress), egress: lines(translated.egress) }).toEqual({ ingress, egress });
    expect(translated.problems).toEqual([]);
  });
});

describe("policies of a node together", () => {
  test("pods without a policy are open", () => {
    const { ingress, egress } = cluster().translate(NODE);
    expect([ingress.defaultAction, egress.defaultAction]).toEqual(["allow", "allow"]);
    expect(lines(egress)).toEqual([]);
  });

  test("what one of several policies allows is allowed", () => {
    const translation = cluster(
      policy({ name: "a", ingress: [{ from: [front] }] }),
      policy({ name: "b", ingress: [{ ports: [{ protocol: "TCP", port: 443 }] }] }),
    );
    expect(lines(translation.translate(NODE).ingress)).toEqual([
      OWN,
      "allow from 10.1.1.2 to 10.1.1.1",
      "allow to 10.1.1.1 tcp 443",
      "deny to 10.1.1.1",
    ]);
  });

  test("follow pods, namespaces and policies", () => {
    const pods = clusterPods();
    const monitor = (ip: string, change = {}) => {
      const record = pod("monitor", ip, { namespace: "watch", node: "node-b", ...change });
      pods.set(podKey(record), record);
    };
    const ops = { namespaceSelector: { matchLabels: { team: "ops" } } };
    const translation = translationOf(pods, policy({ ingress: [{ from: [ops] }] }));
    const allowed = () => lines(translation.translate(NODE).ingress)[1];
    expect(allowed()).toBe("allow from 10.1.2.9 to 10.1.1.1");
    monitor("10.1.2.8");
    expect(allowed()).toBe("allow from 10.1.2.8 to 10.1.1.1");
    monitor("10.1.2.8", { phase: "Succeeded" });
    expect(allowed()).toBe("deny to 10.1.1.1");
    translation.setNamespace(namespace("shop", { team: "ops" }));
    expect(allowed()).toBe("allow from 10.1.1.1,10.1.2.1,10.1.1.2 to 10.1.1.1");
    translation.removePolicy("shop", "rules");
    expect(allowed()).toBeUndefined();
  });

  test("too many rules cost the pods their traffic and not their protection", () => {
    const ingress = Array.from({ length: 5000 }, (_, port) => ({
      ports: [{ protocol: "TCP" as const, port: port + 1 }],
    }));
    const { ingress: config, problems } = cluster(policy({ ingress })).translate(NODE);
    expect(lines(config)).toEqual([OWN, "deny to 10.1.1.1"]);
    expect(problems).toMatchObject([{ code: "too-many-rules", path: "/networkpolicies/shop/rules" }]);
    const few = cluster(policy({ ingress: ingress.slice(0, 5) }));
    expect(lines(few.translate({ ...NODE, most: 6 }).ingress)).toEqual([OWN, "deny to 10.1.1.1"]);
    expect(lines(few.translate({ ...NODE, most: 7 }).ingress)).toHaveLength(7);
  });
});

function lines({ rules }: PolicyConfig): string[] {
  return rules.map(({ action, source, destination, protocol, destinationPorts }) =>
    [
      action,
      ...(source === undefined ? [] : [`from ${source}`]),
      ...(destination === undefined ? [] : [`to ${destination}`]),
      ...(protocol === undefined ? [] : [protocol]),
      ...(destinationPorts === undefined ? [] : [String(destinationPorts)]),
    ].join(" "),
  );
}

describe("a prefix without its exceptions", () => {
  test.each([
    { prefix: "10.0.0.0/8", except: [], rest: ["10.0.0.0/8"] },
    { prefix: "10.0.0.0/8", except: ["10.64.0.0/10"], rest: ["10.0.0.0/10", "10.128.0.0/9"] },
    { prefix: "10.0.0.0/30", except: ["10.0.0.1/32"], rest: ["10.0.0.0/32", "10.0.0.2/31"] },
    { prefix: "10.0.0.0/8", except: ["0.0.0.0/0"], rest: [] },
    { prefix: "10.0.0.0/8", except: ["192.0.2.0/24", "fd00::/8"], rest: ["10.0.0.0/8"] },
    { prefix: "fd00::/126", except: ["fd00::2/127"], rest: ["fd00::/127"] },
    { prefix: "10.0.0.0/24", except: ["10.0.0.0/25", "10.0.0.128/25"], rest: [] },
  ])("$prefix less $except", ({ prefix, except, rest }) => {
    expect(subtractPrefixes(prefix, except)).toEqual(rest);
  });
});
