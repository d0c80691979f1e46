import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ClusterView } from "../../src/agent/cluster-view.js";
import { readSnapshot, writeSnapshot } from "../../src/agent/snapshot.js";
import { blockKey, mirrorKey } from "../../src/cluster/keys.js";

function pod(name: string, node: string, change: Record<string, unknown> = {}): [string, string] {
  const record = { namespace: "n", name, uid: name, node, phase: "Running", ips: ["10.0.0.1"], labels: { app: "a" } };
  return [mirrorKey("pods", name, "n"), JSON.stringify({ ...record, annotations: {}, ports: [], ...change })];
}

const POLICY = { namespace: "n", name: "p", podSelector: {}, policyTypes: ["Ingress"], ingress: [], egress: [] };
const POLICY_ENTRY: [string, string] = [mirrorKey("networkpolicies", "p", "n"), JSON.stringify(POLICY)];
const NODE_ENTRY: [string, string] = [
  mirrorKey("nodes", "me"),
  JSON.stringify({ name: "me", uid: "u", labels: {}, annotations: {}, addresses: ["192.0.2.1"] }),
];
const BLOCK_ENTRY: [string, string] = [
  blockKey("v4", "10.0.0.0/26"),
  JSON.stringify({ pool: "v4", block: "10.0.0.0/26", node: "me" }),
];

function viewOf(...entries: [string, string][]): ClusterView {
  const view = new ClusterView("me");
  for (const [key, value] of entries) view.apply(key, value);
  return view;
}

describe("a view of the cluster", () => {
  test("keeps pods of other nodes only while policies may need them", () => {
    const view = viewOf(pod("own", "me"), pod("other", "another"));
    expect([...view.pods.keys()]).toEqual(["n/own"]);
    view.apply(...POLICY_ENTRY);
    expect(view.lacksPods).toBe(true);
    view.keepAllPods();
    for (const entry of [pod("own", "me"), pod("other", "another"), pod("ended", "another", { phase: "Failed" })]) {
      view.apply(...entry);
    }
    expect([...view.pods.keys()]).toEqual(["n/own", "n/other"]);
    expect(view.lacksPods).toBe(false);
  });

  test("says what a change is about, and nothing where nothing changed that is kept", () => {
    const view = viewOf();
    expect(view.apply(...BLOCK_ENTRY)).toBe("blocks");
    expect(view.apply(...pod("other", "another"))).toBeUndefined();
    expect(view.apply("/sluice/v1/elsewhere/x", "{}")).toBeUndefined();
    expect(view.apply(BLOCK_ENTRY[0], undefined)).toBe("blocks");
  });

  test("keeps what was known of a record that can't be used, and says so until one can", () => {
    const view = viewOf(NODE_ENTRY);
    for (const bad of ["no JSON", '{"name":7}']) {
      expect(view.apply(NODE_ENTRY[0], bad)).toBeUndefined();
      expect(view.nodes.get("me")?.addresses).toEqual(["192.0.2.1"]);
      expect([...view.bad.keys()]).toEqual([NODE_ENTRY[0]]);
    }
    view.apply(...NODE_ENTRY);
    expect(view.bad.size).toBe(0);
  });
});

describe("a snapshot", () => {
  let file: string;
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "snapshot-test-"));
    file = join(folder, "snapshot");
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  test("gives the view again", async () => {
    const view = viewOf(POLICY_ENTRY, NODE_ENTRY, BLOCK_ENTRY);
    view.keepAllPods();
    for (const entry of [pod("own", "me"), pod("other", "another")]) view.apply(...entry);
    await writeSnapshot(file, view);
    const again = new ClusterView("me");
    expect(await readSnapshot(file, again)).toBe(true);
    expect([...again.records()]).toEqual([...view.records()]);
    expect(new Set([...again.records()].map(([key]) => key))).toEqual(
      new Set((["networkpolicies", "nodes", "blocks", "pods"] as const).flatMap((aspect) => view.keysOf(aspect))),
    );
  });

  test("that is not there, or was cut short, is none", async () => {
    const view = new ClusterView("me");
    expect(await readSnapshot(file, view)).toBe(false);
    await writeSnapshot(file, viewOf(NODE_ENTRY, BLOCK_ENTRY));
    const text = await readFile(file, "utf8");
    for (const cut of [0, 10, text.length - 5]) {
      await writeFile(file, text.slice(0, cut));
      await expect(readSnapshot(file, view)).rejects.toThrow("snapshot-corrupt");
    }
    expect(view.size).toBe(0);
  });
});
