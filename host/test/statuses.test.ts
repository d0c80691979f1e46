import { describe, expect, test } from "vitest";
import type { IpPoolRecord, NodeConfigRecord, NodeRecord, NodeReportRecord } from "../src/cluster/records.js";
import { SluiceError } from "../src/errors.js";
import { checkPools } from "../src/reflector/pools.js";
import type { Member } from "../src/reflector/roster.js";
import { nodeConfigStatus, poolStatus } from "../src/reflector/statuses.js";
import { nodeConfigSpec } from "../src/resources/node-config.js";
import { holdingFor } from "../src/resources/select.js";

const NOW = new Date("2026-03-01T12:00:00.123Z");

function pool(
  name: string,
  cidr: string,
  extra: { created?: string; disabled?: boolean; blockSize?: number } = {},
): Member<IpPoolRecord> {
  const { created = "2026-01-01T00:00:00Z", disabled = false, blockSize } = extra;
  const spec = { cidr, disabled, ...(blockSize === undefined ? {} : { blockSize }) };
  return {
    metadata: { name, uid: name, generation: 2, creationTimestamp: created },
    record: { name, uid: name, generation: 2, spec },
    error: undefined,
    status: undefined,
  };
}

function node(name: string, ...addresses: string[]): Member<NodeRecord> {
  return {
    metadata: { name, uid: name },
    record: { name, uid: name, labels: {}, annotations: {}, addresses },
    error: undefined,
    status: undefined,
  };
}

const INVALID = SluiceError.of("invalid-spec", "/spec/cidr", "found 1; allowed: a prefix");

describe("pools", () => {
  const ROWS: {
    what: string;
    pools: Member<IpPoolRecord>[];
    nodes?: Member<NodeRecord>[];
    open: string[];
    refused: Record<string, string>;
  }[] = [
    {
      what: "of both families that don't touch are all used",
      pools: [pool("a", "10.1.0.0/16"), pool("b", "10.2.0.0/16"), pool("c", "fd00::/48")],
      open: ["a", "b", "c"],
      refused: {},
    },
    {
      what: "that overlap: the older one holds, whatever its name",
      pools: [pool("a", "10.1.2.0/24", { created: "2026-01-02T00:00:00Z" }), pool("b", "10.1.0.0/16")],
      open: ["b"],
      refused: { a: "Overlaps" },
    },
    {
      what: "that overlap and were made at one time: the first by name holds",
      pools: [pool("b", "10.1.0.0/16"), pool("a", "10.1.0.0/16")],
      open: ["a"],
      refused: { b: "Overlaps" },
    },
    {
      what: "that hold a node's address are not used",
      pools: [pool("a", "192.168.0.0/16"), pool("b", "10.1.0.0/16")],
      nodes: [node("n1", "192.168.7.5", "fd00::5")],
      open: ["b"],
      refused: { a: "HoldsNodeAddress" },
    },
    {
      what: "that are refused don't stand in the way of others",
      pools: [pool("a", "192.168.0.0/16"), pool("b", "192.168.128.0/24", { created: "2026-01-02T00:00:00Z" })],
      nodes: [node("n1", "192.168.7.5")],
      open: ["b"],
      refused: { a: "HoldsNodeAddress" },
    },
    {
      what: "that are disabled give nothing and are refused nothing, and still hold their addresses",
      pools: [
        pool("a", "10.1.0.0/16", { disabled: true }),
        pool("b", "10.1.0.0/24", { created: "2026-01-02T00:00:00Z" }),
      ],
      open: [],
      refused: { b: "Overlaps" },
    },
    {
      what: "that can't be read, from the start",
      pools: [{ ...pool("a", "10.1.0.0/16"), record: undefined, error: INVALID }],
      open: [],
      refused: { a: "Invalid" },
    },
    {
      what: "that can't be read any more are used as they were",
      pools: [{ ...pool("a", "10.1.0.0/16"), error: INVALID }],
      open: ["a"],
      refused: { a: "Invalid" },
    },
  ];
  test.each(ROWS)("$what", ({ pools, nodes = [], open, refused }) => {
    const checked = checkPools(pools, nodes);
    expect(checked.open.map(({ name }) => name)).toEqual(open);
    expect(Object.fromEntries([...checked.refused].map(([name, { reason }]) => [name, reason]))).toEqual(refused);
  });

  test("a refusal names the field, both sides and what to do", () => {
    const checked = checkPools([pool("a", "10.1.0.0/16"), pool("b", "10.1.2.0/24")], []);
    expect(checked.refused.get("b")?.message).toBe(
      "/spec/cidr: 10.1.2.0/24 overlaps 10.1.0.0/16 of the older IPPool a; delete one of them",
    );
  });
});

describe("a pool's status", () => {
  const member = pool("a", "10.1.0.0/24", { blockSize: 26 });
  const conditions = (facts: Parameters<typeof poolStatus>[1], of = member) =>
    poolStatus(of, facts, NOW).conditions?.map(({ type, status, reason }) => [type, status, reason]);
  const facts = { refusal: undefined, blocks: 1, waiting: [] };

  test("with blocks left", () => {
    expect(poolStatus(member, facts, NOW)).toEqual({
      blocks: 1,
      capacity: "4",
      conditions: [
        {
          type: "Accepted",
          status: "True",
          reason: "Accepted",
          message: "",
          observedGeneration: 2,
          lastTransitionTime: "2026-03-01T12:00:00Z",
        },
        {
          type: "Ready",
          status: "True",
          reason: "BlocksLeft",
          message: "",
          observedGeneration: 2,
          lastTransitionTime: "2026-03-01T12:00:00Z",
        },
      ],
    });
  });

  const ROWS: [string, Parameters<typeof poolStatus>[1], Member<IpPoolRecord>, string[][]][] = [
    [
      "full",
      { ...facts, blocks: 4 },
      member,
      [
        ["Accepted", "True", "Accepted"],
        ["Ready", "False", "Full"],
      ],
    ],
    [
      "with a node that waits",
      { ...facts, blocks: 4, waiting: ["n5"] },
      member,
      [
        ["Accepted", "True", "Accepted"],
        ["Ready", "False", "Full"],
      ],
    ],
    [
      "disabled",
      facts,
      pool("a", "10.1.0.0/24", { disabled: true }),
      [
        ["Accepted", "True", "Accepted"],
        ["Ready", "False", "Disabled"],
      ],
    ],
    [
      "refused",
      { ...facts, refusal: { reason: "Overlaps", message: "m" } },
      member,
      [
        ["Accepted", "False", "Overlaps"],
        ["Ready", "False", "NotAccepted"],
      ],
    ],
  ];
  test.each(ROWS)("%s", (_, given, of, expected) => {
    expect(conditions(given, of)).toEqual(expected);
  });

  test("a condition keeps its time until its status is another one", () => {
    const before = poolStatus(member, facts, new Date("2026-01-01T00:00:00Z"));
    const times = (given: typeof facts) =>
      poolStatus({ ...member, status: before }, given, NOW).conditions?.map(
        ({ lastTransitionTime }) => lastTransitionTime,
      );
    expect(times({ ...facts, blocks: 2 })).toEqual(["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]);
    expect(times({ ...facts, blocks: 4 })).toEqual(["2026-01-01T00:00:00Z", "2026-03-01T12:00:00Z"]);
  });

  test("names three of the nodes that wait and counts the others", () => {
    const status = poolStatus(member, { ...facts, waiting: ["a", "b", "c", "d", "e"] }, NOW);
    expect(status.conditions?.[1]?.message).toContain("for a, b, c and 2 more;");
  });

  test("an IPv6 pool has more blocks than a number can hold", () => {
    expect(poolStatus(pool("a", "fd00::/48"), facts, NOW).capacity).toBe("18889465931478580854784");
  });
});

function config(name: string, spec: object = {}): NodeConfigRecord {
  return { name, uid: name, generation: 3, spec: nodeConfigSpec.parse(spec) };
}

describe("the NodeConfig that holds for a node", () => {
  const general = config("general");
  const fast = config("fast", { nodeSelector: { nic: "fast" }, priority: 10 });
  const both = config("both", { nodeSelector: { nic: "fast", zone: "a" }, priority: 10 });
  const ROWS: [string, Record<string, string>, NodeConfigRecord[], string | undefined][] = [
    ["is the one without a selector where no other selects it", { nic: "slow" }, [fast, general], "general"],
    ["is the one of the highest priority", { nic: "fast" }, [general, fast], "fast"],
    ["is the first by name of equal priority", { nic: "fast", zone: "a" }, [fast, general, both], "both"],
    ["is none where none selects it", {}, [fast, both], undefined],
  ];
  test.each(ROWS)("%s", (_, labels, configs, expected) => {
    expect(holdingFor(labels, configs)?.name).toBe(expected);
  });
});

describe("a NodeConfig's status", () => {
  const member: Member<NodeConfigRecord> = {
    metadata: { name: "general", uid: "u", generation: 3 },
    record: config("general"),
    error: undefined,
    status: undefined,
  };
  function report(node: string, change: Partial<NodeReportRecord> = {}, ready = true): NodeReportRecord {
    const status = ready ? "True" : "False";
    const told = ready ? { reason: "Running", message: "" } : { reason: "NoDevice", message: "no interface eth9" };
    return {
      node,
      version: "0.1.0",
      nodeConfig: { name: "general", generation: 3 },
      conditions: [
        { type: "Programmed", status, ...told },
        { type: "Ready", status, ...told },
      ],
      ...change,
    };
  }
  const ROWS: {
    what: string;
    reports: [string, NodeReportRecord | undefined][];
    nodes: number;
    ready: number;
    condition: string[];
  }[] = [
    { what: "without nodes is not known", reports: [], nodes: 0, ready: 0, condition: ["Unknown", "NoNodes"] },
    {
      what: "is true when it is so of all nodes",
      reports: [
        ["a", report("a")],
        ["b", report("b")],
      ],
      nodes: 2,
      ready: 2,
      condition: ["True", "AllNodes"],
    },
    {
      what: "is false with the reason of the first that is not",
      reports: [
        ["a", report("a")],
        ["b", report("b", {}, false)],
      ],
      nodes: 2,
      ready: 1,
      condition: ["False", "NoDevice"],
    },
    {
      what: "is false while an agent has said nothing",
      reports: [
        ["a", report("a")],
        ["b", undefined],
      ],
      nodes: 2,
      ready: 1,
      condition: ["False", "NoReport"],
    },
    {
      what: "is false while a node has an earlier generation",
      reports: [["a", report("a", { nodeConfig: { name: "general", generation: 2 } })]],
      nodes: 1,
      ready: 0,
      condition: ["False", "Pending"],
    },
    {
      what: "is false while a node has another NodeConfig",
      reports: [["a", report("a", { nodeConfig: { name: "other", generation: 3 } })]],
      nodes: 1,
      ready: 0,
      condition: ["False", "Pending"],
    },
  ];
  test.each(ROWS)("$what", ({ reports, nodes, ready, condition }) => {
    const status = nodeConfigStatus(member, new Map(reports), NOW);
    expect([status.nodes, status.readyNodes]).toEqual([nodes, ready]);
    const found = status.conditions?.find(({ type }) => type === "Ready");
    expect([found?.status, found?.reason]).toEqual(condition);
  });

  test("names the node, three of them at most", () => {
    const reports = new Map(["a", "b", "c", "d"].map((name) => [name, report(name, {}, false)]));
    const message = nodeConfigStatus(member, reports, NOW).conditions?.find(({ type }) => type === "Ready")?.message;
    expect(message).toBe("a: no interface eth9; b: no interface eth9; c: no interface eth9; and 1 more nodes");
  });

  test("of an object that can't be used says what and where", () => {
    const error = SluiceError.of("invalid-spec", "/spec/workerCores", "found [1]; allowed: as many CPUs as workers, 2");
    const [accepted] = nodeConfigStatus({ ...member, error }, new Map(), NOW).conditions ?? [];
    expect(accepted).toMatchObject({
      type: "Accepted",
      status: "False",
      reason: "Invalid",
      message: "invalid-spec /spec/workerCores: found [1]; allowed: as many CPUs as workers, 2",
    });
  });
});
