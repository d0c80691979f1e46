import { describe, expect, test } from "vitest";
import { parseNodeSpec } from "../src/config/load.js";
import { changePlugins, type Histories } from "../src/dataplane/changes.js";
import type { PluginChange } from "../src/dataplane/protocol.js";
import { type History, KEPT_REVISIONS, recordRevision, rollbackTarget, rolledBack } from "../src/plugins/history.js";
import { digest, node, plugin } from "./helpers.js";

const SPEC = node({
  plugins: [plugin("policy", "b", { config: { rules: [1] } }), plugin("nat", "c", { before: ["policy"] })],
  pipeline: { forward: ["nat", "policy"] },
});
const HISTORIES: Histories = {
  policy: [
    { number: 3, plugin: plugin("policy", "a"), version: "1.0.0", appliedAt: "" },
    { number: 4, plugin: plugin("policy", "b", { config: { rules: [1] } }), version: "1.1.0", appliedAt: "" },
  ],
  nat: [{ number: 1, plugin: plugin("nat", "c"), version: "1.0.0", appliedAt: "" }],
};

function load(name: string, letter: string): PluginChange {
  return { load: { pluginJson: JSON.stringify(plugin(name, letter)) } };
}

/** Each plugin's name, first digit of its digest, and configuration. */
function summary(changes: PluginChange[]): string[] {
  const { spec } = changePlugins(SPEC, HISTORIES, changes);
  return parseNodeSpec(spec).plugins.map(
    ({ name, digest: [letter], config }) => `${name} ${letter} ${JSON.stringify(config) ?? "-"}`,
  );
}

const ROWS: [string, PluginChange[], string[]][] = [
  ["load puts a plugin last", [load("guard", "d")], ['policy b {"rules":[1]}', "nat c -", "guard d -"]],
  [
    "swap keeps the configuration",
    [{ swap: { name: "policy", digest: digest("e"), origin: "p.ts", resetFlowState: false } }],
    ['policy e {"rules":[1]}', "nat c -"],
  ],
  [
    "swap of the configuration keeps the module",
    [{ swap: { name: "policy", configJson: '{"rules":[]}', resetFlowState: false } }],
    ['policy b {"rules":[]}', "nat c -"],
  ],
  [
    "swap of several",
    [
      { swap: { name: "policy", digest: digest("e"), resetFlowState: false } },
      { swap: { name: "nat", digest: digest("f"), configJson: "{}", resetFlowState: false } },
    ],
    ['policy e {"rules":[1]}', "nat f {}"],
  ],
  ["rollback brings module and configuration back", [{ rollback: { name: "policy" } }], ["policy a -", "nat c -"]],
  ["rollback to a revision", [{ rollback: { name: "policy", revision: 3 } }], ["policy a -", "nat c -"]],
];

describe("plugin changes", () => {
  test.each(ROWS)("%s", (_, changes, expected) => expect(summary(changes)).toEqual(expected));

  test("unload takes a plugin out of the pipeline and forgets its history", () => {
    const { spec, histories } = changePlugins(
      node({ plugins: [plugin("policy", "b")], pipeline: { forward: ["policy"] } }),
      HISTORIES,
      [{ unload: { name: "policy" } }],
    );
    expect(parseNodeSpec(spec)).toMatchObject({ plugins: [], pipeline: { forward: [] } });
    expect(histories).not.toHaveProperty("policy");
  });

  test("rollback forgets what was rolled back from", () => {
    const { histories, touched } = changePlugins(SPEC, HISTORIES, [{ rollback: { name: "policy" } }]);
    expect(histories.policy?.map(({ number }) => number)).toEqual([3]);
    expect(touched).toEqual(["policy"]);
  });
});

const REFUSED: [string, PluginChange[], string][] = [
  ["no change", [], "invalid-change: no change was asked for; name at least one plugin"],
  [
    "a name that is taken",
    [load("nat", "d")],
    'plugin-exists /plugins/nat: a plugin "nat" is loaded; use plugin swap, or another name',
  ],
  [
    "a plugin that is not there",
    [{ unload: { name: "nta" } }],
    'unknown-plugin /plugins/nta: no plugin "nta" is loaded (did you mean "nat"?); loaded: policy, nat',
  ],
  [
    "a plugin twice",
    [{ unload: { name: "nat" } }, { rollback: { name: "nat" } }],
    "invalid-change /plugins/nat: it is changed twice; name each plugin once",
  ],
  [
    "a rollback of the first version",
    [{ rollback: { name: "nat" } }],
    "no-such-revision /plugins/nat: nothing to roll back to; the plugin has no earlier version",
  ],
  [
    "a rollback to the live version",
    [{ rollback: { name: "policy", revision: 4 } }],
    "no-such-revision /plugins/policy: no earlier revision 4; allowed: 3",
  ],
  [
    "a configuration that is no JSON",
    [{ swap: { name: "nat", configJson: "{", resetFlowState: false } }],
    "invalid-plugin-config /plugins/nat/config: no JSON: ",
  ],
  [
    "a plugin that is none",
    [{ load: { pluginJson: '{"name": "x"}' } }],
    "invalid-config /digest: missing; allowed: a sha-256 digest in hex",
  ],
];

describe("plugin changes are refused", () => {
  test.each(REFUSED)("%s", (_, changes, message) =>
    expect(() => changePlugins(SPEC, HISTORIES, changes)).toThrow(message),
  );
});

describe("a plugin's history", () => {
  const first = recordRevision([], plugin("p", "a"), "1.0.0", "t1");
  const second = recordRevision(first, plugin("p", "b"), "1.1.0", "t2");
  const numbers = (history: History) => history.map(({ number }) => number);

  test("has a revision for each module or configuration that was live", () => {
    const configured = recordRevision(second, plugin("p", "b", { config: {} }), "1.1.0", "t3");
    expect(configured.map(({ number, version, appliedAt }) => [number, version, appliedAt])).toEqual([
      [1, "1.0.0", "t1"],
      [2, "1.1.0", "t2"],
      [3, "1.1.0", "t3"],
    ]);
  });

  test("has no revision for the same again", () => {
    expect(recordRevision(second, plugin("p", "b"), "1.1.0", "t3")).toBe(second);
  });

  test("goes back step by step, and on from there", () => {
    const target = rollbackTarget(second);
    expect(target?.number).toBe(1);
    if (target === undefined) return;
    const back = rolledBack(second, target);
    expect(numbers(back)).toEqual([1]);
    expect(rollbackTarget(back)).toBeUndefined();
    expect(numbers(recordRevision(back, plugin("p", "c"), "2.0.0", "t4"))).toEqual([1, 2]);
  });

  test("is bounded", () => {
    let history: History = [];
    for (let i = 0; i < KEPT_REVISIONS + 3; i++)
      history = recordRevision(history, plugin("p", "a", { config: i }), "1.0.0", "");
    expect(numbers(history)).toEqual([4, 5, 6, 7, 8, 9]);
  });
});
