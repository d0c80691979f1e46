import { describe, expect, test } from "vitest";
import type { ClusterFacts } from "../../src/cli/cluster/facts.js";
import { clusterHealth } from "../../src/cli/cluster/health.js";
import { historyOf, rollbackTarget } from "../../src/cli/cluster/plugins.js";
import { TABLE_WIDTH } from "../../src/cli/output.js";
import { ratesBetween } from "../../src/cli/rates.js";
import { clusterStatusText } from "../../src/cli/views/cluster-status.js";
import { clusterTopText } from "../../src/cli/views/cluster-top.js";
import { digest, FULL_STATUS } from "../helpers.js";
import { dataplane, facts, HISTORY, pod } from "./samples.js";

const well: ClusterFacts["dataplanes"] = new Map(["node1", "node2"].map((name) => [name, dataplane(name)]));
const condition = (type: string, status: "True" | "False", reason: string, message = "") => ({
  ...{ type, status, reason, message, lastTransitionTime: "" },
});

type DataplaneAnswer = ClusterFacts["dataplanes"] extends ReadonlyMap<string, infer Answer> ? Answer : never;

describe("a cluster", () => {
  test("without anything wrong is well", () => {
    const health = clusterHealth(facts({ dataplanes: well }));
    expect(health).toMatchObject({ healthy: true, problems: [] });
    expect(clusterStatusText(health)).toMatch(/all is well$/);
  });

  const withPods = (change: Partial<ClusterFacts["pods"]>) => ({ pods: { ...facts().pods, ...change } });
  test.each<[string, Partial<ClusterFacts>, RegExp]>([
    [
      "a node that is not Ready",
      {
        nodes: [
          {
            metadata: { name: "node1", uid: "" },
            status: { conditions: [{ type: "Ready", status: "False", message: "no CNI" }] },
          },
        ],
      },
      /^node node1: not Ready: no CNI; kubectl describe node node1$/,
    ],
    [
      "a node without Sluice",
      {
        nodes: [{ metadata: { name: "node9", uid: "" }, status: { conditions: [{ type: "Ready", status: "True" }] } }],
      },
      /^node node9: runs no pod of Sluice; /,
    ],
    [
      "a dataplane that does not answer",
      {
        dataplanes: new Map<string, DataplaneAnswer>([
          ...well,
          ["node1", [{ code: "not-running", path: "node1", message: "nobody" }]],
        ]),
      },
      /^node node1: not-running node1: nobody; kubectl -n kube-system logs sluice-node1 -c dataplane$/,
    ],
    [
      "a port that is down",
      {
        dataplanes: new Map([
          ...well,
          [
            "node1",
            dataplane("node1", { ports: FULL_STATUS.ports.map((port) => ({ ...port, name: "uplink", up: false })) }),
          ],
        ]),
      },
      /^node node1: port uplink \(.+\) is down; /,
    ],
    [
      "a stage that failed",
      {
        dataplanes: new Map([
          ...well,
          [
            "node1",
            dataplane("node1", {
              stages: FULL_STATUS.stages
                .slice(0, 1)
                .map((stage) => ({ ...stage, name: "guard", state: "failed", lastFailure: "trap" })),
            }),
          ],
        ]),
      },
      /^node node1: stage guard failed: trap; sluice plugin show guard --name node1 -v$/,
    ],
    [
      "a container that is not ready",
      withPods({
        reflectors: [
          pod("reflector-0", "node1", ["reflector"], {
            containerStatuses: [
              {
                name: "reflector",
                ready: false,
                restartCount: 3,
                state: { waiting: { reason: "CrashLoopBackOff", message: "back-off" } },
              },
            ],
          }),
        ],
      }),
      /^reflector reflector-0: container reflector is not ready: CrashLoopBackOff: back-off; kubectl -n kube-system describe pod reflector-0$/,
    ],
    ["a reflector that is not there", withPods({ reflectors: [] }), /^reflector: has no pod; /],
    [
      "a Plugin whose source does not compile",
      {
        plugins: [
          {
            metadata: { name: "guard", uid: "" },
            status: {
              conditions: [
                condition("Accepted", "True", "Valid"),
                condition("Compiled", "False", "NoModule", "index.ts:3"),
                condition("Ready", "False", "NoModule"),
              ],
            },
          },
        ],
      },
      /^plugin guard: Compiled is False \(NoModule\): index.ts:3; kubectl describe plugin guard$/,
    ],
  ])("with %s says so, and where to look", (_, change, expected) => {
    const { healthy, problems } = clusterHealth(facts({ dataplanes: well, ...change }));
    expect(healthy).toBe(false);
    expect(problems.map(({ where, what, remedy }) => `${where}: ${what}; ${remedy}`)).toEqual(
      expect.arrayContaining([expect.stringMatching(expected)]),
    );
  });

  test("with an etcd that was there before is well without a pod of one", () => {
    expect(clusterHealth(facts({ dataplanes: well, ...withPods({ etcds: [] }) })).healthy).toBe(true);
  });

  test("is shown in lines that fit", () => {
    const text = clusterStatusText(clusterHealth(facts()));
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(TABLE_WIDTH);
    expect(text).toMatch(/1 problem:\nnode node2: port pod-7 /);
  });

  test("has the rates of all its nodes, and says which does not answer", () => {
    const later = dataplane("node1", { uptimeMs: 93_601_000 });
    const text = clusterTopText([
      { node: "node1", rates: ratesBetween(dataplane("node1"), later) },
      { node: "node2", problems: [{ code: "node-unreachable", path: "node2", message: "no such container" }] },
    ]);
    expect(text).toMatch(/^2 nodes {2}packets\/s/);
    expect(text).toContain("node2: node-unreachable: no such container");
  });
});

describe("a Plugin", () => {
  const plugin = (history = HISTORY) => ({
    metadata: { name: "guard", uid: "" },
    status: { digest: digest("c"), history },
  });

  test.each([
    [undefined, 2],
    [1, 1],
  ])("asked for generation %s goes back to %s", (to, generation) => {
    expect(rollbackTarget(plugin(), to).generation).toBe(generation);
    expect(historyOf(plugin())).toHaveLength(4);
  });

  test("does not go back to the module that it has", () => {
    const same = [{ ...HISTORY[1], generation: 2, digest: digest("c") }, HISTORY[2]] as typeof HISTORY;
    expect(() => rollbackTarget(plugin(same))).toThrow(
      /no-revision guard: there is no earlier version to go back to; .*2, 3/,
    );
  });

  test("says which generations there are", () => {
    expect(() => rollbackTarget(plugin(), 9)).toThrow(/no generation 9; its history has the generations 1, 2, 3, 4/);
    expect(() => rollbackTarget(plugin([]))).toThrow(/it has no history yet/);
  });
});
