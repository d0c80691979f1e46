import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cleanup } from "../support/cleanup.js";
import { policyPlugin } from "../support/plugins.js";
import { type Node, oneNode, type Pod } from "../support/topology.js";
import { httpGet, httpServer, IperfFlow, ping } from "../support/traffic.js";

const cleanup = new Cleanup();
let node: Node;
let client: Pod;
let server: Pod;

beforeAll(async () => {
  node = await oneNode(cleanup, 3);
  [client, server] = node.pods as [Pod, Pod, Pod];
  await httpServer(cleanup, server.namespace, "server");
});

afterAll(() => cleanup.close());

const apply = (...plugins: typeof node.file.plugins) => node.dataplane.apply({ ...node.file, plugins });
const policyDrops = async () => {
  const stage = (await node.dataplane.status()).native.stages.find(({ name }) => name === "policy");
  return stage?.drops.policy ?? 0;
};

describe.each(["v4", "v6"] as const)("policy over IP%s", (family) => {
  const url = () => (family === "v4" ? `http://${server.v4}:8080/` : `http://[${server.v6}]:8080/`);
  const prefix = family === "v4" ? "/32" : "/128";

  test("a denied port is closed to one pod, and open to another", async () => {
    await apply(
      policyPlugin("allow", [
        { action: "deny", source: [`${client[family]}${prefix}`], protocol: "tcp", destinationPorts: [8080] },
      ]),
    );
    const before = await policyDrops();
    expect((await httpGet(client.namespace, url())).server).toBeUndefined();
    expect(await policyDrops()).toBeGreaterThan(before);
    const other = node.pods[2] as Pod;
    expect((await httpGet(other.namespace, url())).server).toBe("server");
    expect(await ping(client.namespace, server[family])).toMatchObject({ lost: 0 });
  });

  test("deny by default: answers of an allowed connection pass, connections the other way do not", async () => {
    await apply(
      policyPlugin("deny", [
        { action: "allow", source: [`${client[family]}${prefix}`], protocol: "tcp", destinationPorts: ["8000-8099"] },
      ]),
    );
    expect((await httpGet(client.namespace, url())).server).toBe("server");
    await httpServer(cleanup, client.namespace, "client", family === "v4" ? 8004 : 8006);
    const back = family === "v4" ? `http://${client.v4}:8004/` : `http://[${client.v6}]:8006/`;
    expect((await httpGet(server.namespace, back)).server).toBeUndefined();
    expect((await ping(client.namespace, server[family], { count: 2, wait: 0.3 })).received).toBe(0);
  });

  test("without the plugin all is open again", async () => {
    await apply();
    expect((await httpGet(client.namespace, url())).server).toBe("server");
  });

  test("a rule that appears cuts a running connection", async () => {
    await apply(policyPlugin("allow", []));
    const flow = await IperfFlow.start(cleanup, client.namespace, server.namespace, server[family], { seconds: 20 });
    await new Promise((wake) => setTimeout(wake, 1_000));
    const before = await policyDrops();
    await apply(policyPlugin("allow", [{ action: "deny", protocol: "tcp", destinationPorts: [flow.port] }]));
    await expect.poll(policyDrops, { timeout: 3_000 }).toBeGreaterThan(before);
    await apply(policyPlugin("allow", []));
    await flow.stop();
  });
});
