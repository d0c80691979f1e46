import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cleanup } from "../support/cleanup.js";
import { exampleSource } from "../support/plugins.js";
import { type Node, oneNode, type Pod } from "../support/topology.js";
import { httpGet, httpServer } from "../support/traffic.js";

// The challenge counts on what the kernel's TCP does with a SYN+ACK that acknowledges something else.

const cleanup = new Cleanup();
let node: Node;
let client: Pod;
let server: Pod;

beforeAll(async () => {
  node = await oneNode(cleanup, 2);
  [client, server] = node.pods as [Pod, Pod];
  await httpServer(cleanup, server.namespace, "server");
  const config = { protect: [`${server.v4}/32`, `${server.v6}/128`] };
  const source = exampleSource("syn-guard/assembly/index.ts");
  await node.dataplane.apply({ ...node.file, plugins: [{ name: "syn-guard", source, config }] });
});

afterAll(() => cleanup.close());

const guard = async () => {
  const stage = (await node.dataplane.status()).native.stages.find(({ name }) => name === "syn-guard");
  if (stage === undefined) throw new Error("syn-guard is not in the pipeline");
  return stage;
};

describe.each(["v4", "v6"] as const)("over IP%s", (family) => {
  const url = () => (family === "v4" ? `http://${server.v4}:8080/` : `http://[${server.v6}]:8080/`);

  test("a kernel's client proves itself once and connects, and then connects at once", async () => {
    const before = await guard();
    for (let connection = 0; connection < 3; connection++)
      expect((await httpGet(client.namespace, url())).server).toBe("server");
    const { counters, drops } = await guard();
    const more = (name: string) => (counters[name] ?? 0) - (before.counters[name] ?? 0);
    expect([more("challenged_syns"), more("proofs"), more("passed_syns")]).toEqual([1, 1, 3]);
    expect((drops["syn-proof"] ?? 0) - (before.drops["syn-proof"] ?? 0)).toBe(1);
  });
});

test("the way back, to what is not protected, has no challenge", async () => {
  await httpServer(cleanup, client.namespace, "client");
  const before = await guard();
  expect((await httpGet(server.namespace, `http://${client.v4}:8080/`)).server).toBe("client");
  expect((await guard()).counters).toEqual(before.counters);
});
