import { expect, test } from "vitest";
import type { PluginSpec } from "../src/config/schema.js";
import { snapshotText } from "../src/dataplane/snapshot-text.js";
import type { Snapshot } from "../src/dataplane/store.js";
import { node, plugin } from "./helpers.js";

const PORT = { name: "a", kind: "inject" };
const ROUTES = ["10.1.0.0/16", "10.2.0.0/16"].map((prefix) => ({ prefix, nextHops: [{ port: "a" }] }));

/** Description, the node, the configurations that plugin `p` had. */
const ROWS: [string, Record<string, unknown>, PluginSpec["config"][]][] = [
  ["of nothing", {}, []],
  ["with routes", { ports: [PORT], routes: ROUTES }, []],
  ["with fewer routes than before", { ports: [PORT], routes: ROUTES.slice(1) }, []],
  ["with a plugin that has no configuration", { plugins: [plugin("p", "a")] }, [undefined]],
  [
    "with configurations of any kind, and the histories of their plugins",
    { plugins: [plugin("p", "a", { config: { 'x"': [1] } }), plugin("q", "b", { config: null })] },
    [{ x: 0 }, { 'x"': [1] }],
  ],
];

test.each(ROWS)("a snapshot's text %s is what JSON says of it", (_, fields, configs) => {
  const revisions = configs.map((config, index) => ({
    number: index + 1,
    version: "1.0.0",
    appliedAt: "2026-01-01T00:00:00Z",
    plugin: node({ plugins: [plugin("p", "a", { config })] }).plugins[0],
  }));
  const snapshot = { format: 1, spec: node(fields), histories: { p: revisions, 'odd"name': [] } } as Snapshot;
  const text = [...snapshotText(snapshot)].join("");
  expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(snapshot)));
});
