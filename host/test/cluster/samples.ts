import type { ClusterFacts } from "../../src/cli/cluster/facts.js";
import { clusterHealth } from "../../src/cli/cluster/health.js";
import type { Pod } from "../../src/cli/cluster/sluice-pods.js";
import { historyText } from "../../src/cli/commands/plugin-history.js";
import type { PacketEvent } from "../../src/cli/observe/event.js";
import { clusterStatusText } from "../../src/cli/views/cluster-status.js";
import { connectivityText } from "../../src/cli/views/connectivity.js";
import { eventText } from "../../src/cli/views/event.js";
import type { Check, Outcome } from "../../src/connectivity/checks.js";
import type { StatusResponse } from "../../src/dataplane/protocol.js";
import type { PastVersion } from "../../src/resources/status.js";
import { digest, FULL_STATUS } from "../helpers.js";

// What a cluster says of itself, as the operators' tools show it; CLI.md has the same.

const NOON = new Date(2024, 0, 2, 12, 0, 1, 250).getTime();

export function dataplane(name: string, change: Partial<StatusResponse["native"]> = {}): StatusResponse {
  const stages = FULL_STATUS.stages.map((stage) => ({ ...stage, state: "active" as const }));
  const ports = FULL_STATUS.ports.map((port) => ({ ...port, up: true }));
  const native = { ...FULL_STATUS, stages, ports, uptimeMs: 93_600_000, ...change };
  return { name, pid: 1, version: "0.1.0", native, observers: 0, revision: "r1" };
}

export function pod(name: string, node: string, containers: string[], change: Partial<Pod["status"]> = {}): Pod {
  const containerStatuses = containers.map((each) => ({ name: each, ready: true, restartCount: 0 }));
  return {
    metadata: { name, namespace: "kube-system", uid: name },
    spec: { nodeName: node, containers: containers.map((each) => ({ name: each, image: "sluice.dev/sluice:0.1.0" })) },
    status: { phase: "Running", containerStatuses, ...change },
  };
}

const node = (name: string) => ({
  metadata: { name, uid: name },
  status: { conditions: [{ type: "Ready", status: "True" }] },
});

/** Two nodes that are well, a Plugin and a pool. */
export function facts(change: Partial<ClusterFacts> = {}): ClusterFacts {
  const nodePods = new Map(
    ["node1", "node2"].map((name) => [name, pod(`sluice-${name}`, name, ["agent", "dataplane"])]),
  );
  const reflectors = [pod("sluice-reflector-5d8-x7k2p", "node1", ["reflector"])];
  const etcds = [pod("sluice-etcd-0", "node2", ["etcd"])];
  const pods = { nodes: nodePods, reflectors, etcds, all: [...nodePods.values(), ...reflectors, ...etcds] };
  const ready = { type: "Ready", status: "True" as const, reason: "Ready", message: "", lastTransitionTime: "" };
  return {
    pods,
    nodes: [node("node1"), node("node2")],
    plugins: [
      {
        metadata: { name: "guard", uid: "g" },
        status: { conditions: [ready], nodes: 2, readyNodes: 2, digest: digest("a") },
      },
    ],
    pipelines: [],
    nodeConfigs: [],
    ipPools: [
      {
        metadata: { name: "pods-v4", uid: "p" },
        spec: { cidr: "10.244.0.0/16" },
        status: { blocks: 2, capacity: "256" } as never,
      },
    ],
    dataplanes: new Map([
      ["node1", dataplane("node1")],
      [
        "node2",
        dataplane("node2", {
          ports: FULL_STATUS.ports.slice(0, 1).map((port) => ({ ...port, name: "pod-7", up: false })),
        }),
      ],
    ]),
    ...change,
  };
}

export const EVENTS: PacketEvent[] = [
  {
    at: NOON,
    node: "node1",
    verdict: "forwarded",
    source: { address: "10.244.0.7", port: 43210, kind: "pod", name: "shop/web-1" },
    destination: { address: "10.244.1.9", port: 5432, kind: "pod", name: "shop/db-0" },
    protocol: "TCP",
    detail: "S",
    length: 124,
    port: "uplink",
    carried: true,
  },
  {
    at: NOON + 1,
    node: "node2",
    verdict: "dropped",
    source: { address: "10.244.0.7", port: 43210, kind: "pod", name: "shop/web-1" },
    destination: { address: "10.244.1.9", port: 5432, kind: "pod", name: "shop/db-0" },
    protocol: "TCP",
    detail: "S",
    length: 74,
    port: "uplink",
    reason: "policy",
    stage: "policy-ingress",
  },
];

export const HISTORY: PastVersion[] = [
  { generation: 1, digest: digest("a"), source: "inline", time: "2024-01-02T12:00:00Z", outcome: "Superseded" },
  { generation: 2, digest: digest("b"), source: "inline", time: "2024-01-02T12:10:00Z", outcome: "Superseded" },
  { generation: 3, digest: digest("c"), source: "inline", time: "2024-01-02T12:20:00Z", outcome: "Live" },
  {
    generation: 4,
    digest: digest("d"),
    source: "inline",
    time: "2024-01-02T12:30:00Z",
    outcome: "RolledBack",
    message: "node1: memory-out-of-bounds at assembly/index.ts:13",
  },
];

export function outcome(change: Partial<Check> = {}, error = ""): Outcome {
  const check: Check = {
    path: "pod to pod, other node",
    from: { pod: "client" },
    to: "far",
    transport: "tcp",
    family: "v4",
    allowed: true,
    probe: { kind: "tcp", host: "10.244.1.9", port: 8080, bytes: 0, timeoutMs: 3000, tries: 3 },
    ...change,
  };
  return { check, ok: error === "", error, ms: 3 };
}

const OUTCOMES: Outcome[] = [
  outcome(),
  outcome({ family: "v6", probe: { ...outcome().check.probe, host: "fd00::1:9" } }, "no answer"),
  outcome({ path: "policy denies", from: { pod: "stranger" }, to: "near", allowed: false }),
];

export const CLUSTER_SAMPLES: Readonly<Record<string, readonly [line: string, text: string]>> = {
  status: ["status --kubeconfig admin.conf", clusterStatusText(clusterHealth(facts()))],
  observe: ["observe --follow --pod shop/db-0", EVENTS.map(eventText).join("\n")],
  "connectivity test": ["connectivity test", connectivityText("sluice-connectivity-x2v9k", OUTCOMES, 14)],
  "plugin history": ["plugin history guard", historyText(HISTORY)],
};
