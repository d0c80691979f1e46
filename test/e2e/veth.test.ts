import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cleanup } from "../support/cleanup.js";
import { Dataplane } from "../support/dataplane.js";
import { ownName } from "../support/leftovers.js";
import { Namespace } from "../support/namespace.js";
import type { NodeFile } from "../support/node-file.js";
import { eventually } from "../support/process.js";
import { flowFile } from "../support/topology.js";
import { ping } from "../support/traffic.js";

// A pod with a TAP and one with a veth, which are the same to both.
describe("a pod with a veth", () => {
  let cleanup: Cleanup;
  let node: Namespace;
  let tap: Namespace;
  let veth: Namespace;
  let dataplane: Dataplane;
  let file: NodeFile;

  beforeAll(async () => {
    cleanup = new Cleanup();
    const folder = await mkdtemp(join(tmpdir(), `${ownName("veth")}-`));
    cleanup.defer(folder, () => rm(folder, { recursive: true }));
    flowFile(cleanup, `sluice-${ownName("veth")}`);
    node = await Namespace.create(cleanup, ownName("node"));
    tap = await Namespace.create(cleanup, ownName("tap"));
    veth = await Namespace.create(cleanup, ownName("veth"));
    dataplane = new Dataplane(node, folder, cleanup);
    const pod = (kind: "tap" | "veth", namespace: Namespace, last: string) => ({
      name: `${kind}-pod`,
      kind,
      device: "eth0",
      netns: namespace.path,
      mtu: 1400,
      proxy: true,
      addresses: ["169.254.1.1/32", "fe80::1/128"],
      peerMac: `02:00:00:00:00:0${last}`,
      peerAddresses: [`10.1.0.${last}/32`, `fd00::${last}/128`],
      peerDefaultRoute: true,
    });
    file = {
      name: ownName("veth"),
      stateDir: join(folder, "state"),
      cacheDir: join(folder, "cache"),
      memory: { size: 256, hugepages: "never", buffers: 4096, jumbos: 256 },
      ports: [pod("tap", tap, "1"), pod("veth", veth, "2")],
      routes: ["1", "2"].flatMap((last) => {
        const nextHops = [{ port: last === "1" ? "tap-pod" : "veth-pod" }];
        return [
          { prefix: `10.1.0.${last}/32`, nextHops },
          { prefix: `fd00::${last}/128`, nextHops },
        ];
      }),
      plugins: [],
    };
    await dataplane.start(file);
  });

  afterAll(() => cleanup.close());

  async function reachable(): Promise<void> {
    await eventually("both ways, both families", 20_000, async () => {
      const results = await Promise.all([
        ping(tap, "10.1.0.2", { count: 1 }),
        ping(tap, "fd00::2", { count: 1 }),
        ping(veth, "10.1.0.1", { count: 1 }),
        ping(veth, "fd00::1", { count: 1 }),
      ]);
      return results.every(({ received }) => received === 1) ? true : undefined;
    });
  }

  test("is reached and reaches others; its interface is as asked for", async () => {
    await reachable();
    const link = await veth.ip("-d", "link", "show", "eth0");
    expect(link).toMatch(/mtu 1400[\s\S]*02:00:00:00:00:02[\s\S]*veth/);
  });

  test("TCP goes both ways, with super-frames of the kernel's", async () => {
    for (const [from, to, address] of [
      [tap, veth, "10.1.0.2"],
      [veth, tap, "10.1.0.1"],
    ] as const) {
      const server = to.start(cleanup, ["socat", "TCP-LISTEN:7000,reuseaddr", "EXEC:cat"]);
      const input = "0123456789".repeat(200_000);
      await eventually("an echo of 2 MB", 20_000, async () => {
        const { stdout } = await from.run(["socat", "-t5", "-", `TCP:${address}:7000`], { input });
        return stdout === input ? true : undefined;
      });
      await server.stop();
    }
  });

  test("the node's own namespace sees nothing of it", async () => {
    expect(await node.ip("-o", "link", "show", "type", "veth")).toBe("");
  });

  test("a dataplane that was killed makes it anew", async () => {
    await dataplane.stop("SIGKILL");
    await dataplane.start(file);
    await reachable();
  });

  test("it goes with its port, and when the dataplane ends", async () => {
    const ports = file.ports.filter(({ kind }) => kind !== "veth");
    const routes = (file.routes ?? []).filter(({ prefix }) => /::1|0\.1\/32/.test(prefix));
    await dataplane.apply({ ...file, ports, routes });
    expect(await veth.ip("-o", "link", "show")).not.toContain("eth0");
    await dataplane.apply(file);
    await reachable();
    await dataplane.stop();
    expect(await veth.ip("-o", "link", "show")).not.toContain("eth0");
  });
});
