import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Cleanup } from "../support/cleanup.js";
import { Dataplane, root } from "../support/dataplane.js";
import { ownName } from "../support/leftovers.js";
import { Namespace } from "../support/namespace.js";
import type { NodeFile } from "../support/node-file.js";
import { type Background, eventually, run } from "../support/process.js";
import { flowFile } from "../support/topology.js";
import { ping } from "../support/traffic.js";
import { uplinkGuards } from "../support/uplink-guards.js";

const PROGRAM = `${root}/build/native/sluice-uplink`;
const SETTINGS = ["ipv4/conf/eth0/arp_announce", "ipv6/conf/eth0/accept_ra", "ipv6/conf/eth0/addr_gen_mode"];
const OWNER = String(process.pid);

// A node whose only interface leads to a peer of the kernel's own networking.
let cleanup: Cleanup;
let folder: string;
let node: Namespace;
let peer: Namespace;
let netns: string;

beforeEach(async () => {
  cleanup = new Cleanup();
  folder = await mkdtemp(join(tmpdir(), `${ownName("uplink")}-`));
  cleanup.defer(folder, () => rm(folder, { recursive: true }));
  node = await Namespace.create(cleanup, ownName("node"));
  peer = await Namespace.create(cleanup, ownName("peer"));
  netns = `/run/netns/sluice-${ownName("stn")}-eth0`;
  await node.ip("link", "add", "eth0", "mtu", "1400", "type", "veth", "peer", "name", "eth0", "netns", peer.name);
  await node.sysctl({ "net.ipv4.conf.eth0.arp_announce": 1, "net.ipv6.conf.eth0.accept_ra": 2 });
  await addresses(node, "1");
  await addresses(peer, "2");
  await node.ip("addr", "add", "10.9.0.11/24", "dev", "eth0", "label", "eth0:more");
  await node.ip("route", "add", "default", "via", "10.9.0.2", "src", "10.9.0.11");
  await node.ip("route", "add", "10.50.0.0/16", "via", "10.9.0.2", "metric", "7", "table", "100");
  await node.ip("route", "add", "10.60.0.0/16", "via", "10.61.0.1", "dev", "eth0", "onlink");
  await node.ip("-6", "route", "add", "default", "via", "fd09::2", "metric", "5");
  await node.ip("neigh", "add", "10.9.0.77", "lladdr", "02:00:00:00:00:77", "dev", "eth0", "nud", "permanent");
});

afterEach(() => cleanup.close());

async function addresses(namespace: Namespace, last: string): Promise<void> {
  await namespace.sysctl({ "net.ipv6.conf.eth0.accept_dad": 0 });
  await namespace.ip("link", "set", "eth0", "up");
  await namespace.ip("addr", "add", `10.9.0.${last}/24`, "dev", "eth0");
  await namespace.ip("addr", "add", `fd09::${last}/64`, "dev", "eth0");
}

/** All that the node's interface is, as text. */
async function state(): Promise<string> {
  const shown = await Promise.all([
    node.ip("-o", "link", "show", "eth0"),
    node.ip("-o", "addr", "show", "dev", "eth0"),
    node.ip("route", "show", "table", "main"),
    node.ip("route", "show", "table", "100"),
    node.ip("-6", "route", "show", "table", "main"),
    node.ip("neigh", "show", "nud", "permanent"),
    node.must(["sysctl", ...SETTINGS.map((name) => `net.${name.replaceAll("/", ".")}`)]),
  ]);
  // Numbers of interfaces and how an address was added are not the node's concern.
  return shown.join("\n").replaceAll(/^\d+: |@if\d+|link-netnsid \d+| nodad|link-netns \S+/gm, "");
}

describe("sluice-uplink", () => {
  const uplink = (args: string[], env: Record<string, string> = {}) =>
    run(node.sharedCommand([PROGRAM, ...args, "--record", join(folder, "record.json")]), { env });
  const take = (env?: Record<string, string>) =>
    uplink(["take", "--device", "eth0", "--netns", netns, "--owner", OWNER], env);
  const giveBack = (env?: Record<string, string>) => uplink(["give-back"], env);

  beforeEach(() => {
    cleanup.defer("what is taken", async () => {
      await giveBack();
    });
  });

  /** Ends `killed` at its first step, at its second, … until it gets through. @returns how many steps it has */
  async function atEachStep(killed: (env: Record<string, string>) => Promise<{ status: unknown }>): Promise<number> {
    const before = await state();
    for (let step = 1; ; step++) {
      const { status } = await killed({ SLUICE_UPLINK_DIE_AT: String(step) });
      expect(await giveBack()).toMatchObject({ status: 0, stderr: "" });
      expect(await state(), `killed at step ${step}`).toBe(before);
      expect(existsSync(netns)).toBe(false);
      if (status === 0) return step - 1;
    }
  }

  test("a TAP stands for the interface: name, MAC, MTU, addresses, routes, settings", async () => {
    const before = await state();
    expect(await take()).toMatchObject({ status: 0, stderr: "" });
    const route = (text: string) => text.replaceAll(" linkdown", "");
    const link = (text: string) => /mtu \d+|link\/ether \S+/g[Symbol.match](text);
    const [now, was] = [route(await state()).split("\n"), before.split("\n")];
    expect(link(now.join("\n"))).toEqual(link(was.join("\n")));
    expect(await node.ip("-d", "link", "show", "eth0")).toContain("tun type tap");
    expect(now.filter((line) => /inet|via|scope link|arp_announce|accept_ra/.test(line))).toEqual(
      was.filter((line) => /inet|via|scope link|arp_announce|accept_ra/.test(line)),
    );
    expect((await take()).status).toBe(0);
    expect(await giveBack()).toMatchObject({ status: 0, stderr: "" });
    expect(await state()).toBe(before);
    expect(await giveBack()).toMatchObject({ status: 0, stderr: "" });
  });

  test("killed at any step of taking, the interface can be given back", async () => {
    expect(await atEachStep(take)).toBeGreaterThan(15);
  });

  test("killed at any step of giving back, it can be given back still", async () => {
    const steps = await atEachStep(async (env) => {
      await take();
      return giveBack(env);
    });
    expect(steps).toBeGreaterThan(15);
  });

  test("what changed on the TAP holds for the interface", async () => {
    await take();
    await node.ip("addr", "del", "10.9.0.11/24", "dev", "eth0");
    await node.ip("addr", "add", "10.9.0.12/24", "dev", "eth0");
    await giveBack();
    const shown = await node.ip("-o", "addr", "show", "dev", "eth0");
    expect([shown.includes("10.9.0.11"), shown.includes("10.9.0.12")]).toEqual([false, true]);
    expect((await ping(peer, "10.9.0.12", { count: 2 })).received).toBe(2);
  });

  describe("guards of one record", () => {
    let watched: Background;
    beforeEach(() => {
      watched = node.start(cleanup, ["sleep", "600"], { sharesMounts: true });
    });
    /** @returns its process, which outlives the command and has its output */
    const guard = async (process = watched.pid) => {
      const said = join(folder, "guard");
      const command = `exec ${PROGRAM} guard --record ${join(folder, "record.json")} --pid ${process} > ${said} 2>&1`;
      expect(await run(node.sharedCommand(["sh", "-c", command]))).toMatchObject({ status: 0 });
      return eventually("a guard", 10_000, () => Number(readFileSync(said, "utf8")) || undefined);
    };

    test("take over from each other: one of each process is left, which gives back", async () => {
      const before = await state();
      const first = await guard();
      await uplink(["take", "--device", "eth0", "--netns", netns, "--owner", String(watched.pid)]);
      for (let i = 0; i < 5; i++) await guard();
      const last = await guard();
      expect(last).not.toBe(first);
      expect(await uplinkGuards(node)).toEqual([last]);
      const other = node.start(cleanup, ["sleep", "600"], { sharesMounts: true });
      const ofOther = await guard(other.pid);
      expect((await uplinkGuards(node)).sort()).toEqual([last, ofOther].sort());
      await other.stop("SIGKILL");
      await eventually("its guard's end", 20_000, async () =>
        (await uplinkGuards(node)).length === 1 ? true : undefined,
      );
      expect(existsSync(netns)).toBe(true); // the other process's it is not
      await watched.stop("SIGKILL");
      await eventually("the last guard's end", 20_000, async () =>
        (await uplinkGuards(node)).length === 0 ? true : undefined,
      );
      expect(await state()).toBe(before);
    });

    test("take over from one that is stopped", async () => {
      process.kill(await guard(), "SIGSTOP");
      const last = await guard();
      expect(await uplinkGuards(node)).toEqual([last]);
    });

    test("end when it is given back", async () => {
      const guards = [await guard(), await guard(Number(OWNER))];
      expect((await uplinkGuards(node)).sort()).toEqual(guards.sort());
      expect(await giveBack()).toMatchObject({ status: 0, stderr: "" });
      expect(await uplinkGuards(node)).toEqual([]);
    });
  });

  test("what cannot be taken stays, and the reason is said", async () => {
    const before = await state();
    const missing = await uplink(["take", "--device", "eth9", "--netns", netns, "--owner", OWNER]);
    expect(JSON.parse(missing.stderr)).toMatchObject({ code: "no-such-interface", path: "/device" });
    const loopback = await uplink(["take", "--device", "lo", "--netns", netns, "--owner", OWNER]);
    expect(JSON.parse(loopback.stderr)).toMatchObject({ code: "uplink-unsuitable" });
    expect(await state()).toBe(before);
    expect(readdirSync(folder).filter((name) => name.endsWith(".json"))).toEqual([]);
  });
});

describe("a dataplane that takes the node's interface", () => {
  let dataplane: Dataplane;
  let file: NodeFile;

  beforeEach(() => {
    const name = ownName("stn");
    flowFile(cleanup, `sluice-${name}`);
    dataplane = new Dataplane(node, folder, cleanup);
    const own = { addresses: ["10.9.0.1/24", "10.9.0.11/32", "fd09::1/64"], mtu: 1400 };
    file = {
      name,
      stateDir: join(folder, "state"),
      cacheDir: join(folder, "cache"),
      memory: { size: 128, hugepages: "never", buffers: 4096, jumbos: 256 },
      ports: [
        { name: "uplink", kind: "af-packet", device: "eth0", take: true, ...own },
        { name: "host", kind: "tap", device: "eth0", host: true, proxy: true, mtu: 1400 },
      ],
      routes: [
        { prefix: "0.0.0.0/0", nextHops: [{ port: "uplink", gateway: "10.9.0.2" }] },
        { prefix: "::/0", nextHops: [{ port: "uplink", gateway: "fd09::2" }] },
      ],
      plugins: [],
    };
    cleanup.defer("what is taken", async () => {
      const record = join(folder, "state", "uplink-eth0.json");
      await run(node.sharedCommand([PROGRAM, "give-back", "--record", record]));
    });
  });

  const start = () => dataplane.start(file, { sharesMounts: true });
  const isTaken = () => existsSync(netns);

  async function reachable(): Promise<void> {
    await eventually("both ways, both families", 20_000, async () => {
      const results = await Promise.all([
        ping(peer, "10.9.0.1", { count: 1 }),
        ping(peer, "fd09::1", { count: 1 }),
        ping(node, "10.9.0.2", { count: 1 }),
        ping(node, "fd09::2", { count: 1 }),
      ]);
      return results.every(({ received }) => received === 1) ? true : undefined;
    });
  }

  /** An echo every 20 ms throughout. @returns the longest time without an answer, ms */
  function watch(program: Background) {
    return async () => {
      const { stdout } = await program.stop("SIGINT");
      const times = [...stdout.matchAll(/^\[(\d+\.\d+)\].* icmp_seq=/gm)].map((match) => Number(match[1]) * 1000);
      return Math.max(...times.slice(1).map((time, index) => time - (times[index] ?? time)));
    };
  }

  test("the node talks as before; its own sockets and the dataplane share the addresses", async () => {
    const before = await state();
    await start();
    await reachable();
    expect(isTaken()).toBe(true);
    const server = peer.start(cleanup, ["socat", "TCP-LISTEN:7000,reuseaddr", "EXEC:cat"]);
    const text = "x".repeat(200_000);
    const echoed = await eventually("a connection", 20_000, async () => {
      const output = await node.run(["socat", "-t5", "-", "TCP:10.9.0.2:7000"], { input: text });
      return output.stdout === text ? true : undefined;
    });
    expect(echoed).toBe(true);
    await server.stop();
    await dataplane.stop();
    expect(isTaken()).toBe(false);
    expect(await state()).toBe(before);
    await reachable();
  });

  test("killed, it loses the interface to the node at once; started again, it takes it again", async () => {
    const before = await state();
    const longest = watch(peer.start(cleanup, ["ping", "-D", "-n", "-i", "0.02", "10.9.0.1"]));
    await start();
    await reachable();
    await dataplane.stop("SIGKILL");
    await eventually("the interface is back", 20_000, () => (isTaken() ? undefined : true));
    await reachable();
    expect(await state()).toBe(before);
    await start();
    await reachable();
    expect(isTaken()).toBe(true);
    await dataplane.stop();
    await reachable();
    // Four changes of hands; docs/cluster.md says what one takes.
    expect(await longest()).toBeLessThan(10_000);
  });

  test("a killed guard is replaced; with both killed, the next start finds what is taken", async () => {
    const before = await state();
    await start();
    await reachable();
    const [first] = await uplinkGuards(node);
    process.kill(first ?? 0, "SIGKILL");
    await eventually("another guard", 20_000, async () => {
      const now = await uplinkGuards(node);
      return now.length === 1 && now[0] !== first ? true : undefined;
    });
    const [second] = await uplinkGuards(node);
    process.kill(dataplane.pid, "SIGSTOP"); // so that it cannot replace it
    process.kill(second ?? 0, "SIGKILL");
    await dataplane.stop("SIGKILL");
    expect(isTaken()).toBe(true);
    await start();
    await reachable();
    await dataplane.stop();
    expect(await state()).toBe(before);
  });

  test("a watcher of its records gives back what a dataplane leaves that was killed with its guard", async () => {
    const before = await state();
    await start();
    await reachable();
    const watcher = node.start(cleanup, [PROGRAM, "watch", "--folder", join(folder, "state")], { sharesMounts: true });
    const [guard] = await uplinkGuards(node);
    process.kill(dataplane.pid, "SIGSTOP"); // so that it cannot replace it
    process.kill(guard ?? 0, "SIGKILL");
    expect(isTaken()).toBe(true);
    await dataplane.stop("SIGKILL");
    await eventually("the interface is back", 20_000, () => (isTaken() ? undefined : true));
    await reachable();
    expect(await state()).toBe(before);
    await start();
    await reachable();
    expect((await watcher.stop()).status).toBe(0); // what is in use it leaves alone
    expect(isTaken()).toBe(true);
    await dataplane.stop();
    expect(await state()).toBe(before);
  });

  test("a start that fails gives back what it took", async () => {
    const before = await state();
    file.ports.push({ name: "none", kind: "af-packet", device: "missing0" });
    await expect(start()).rejects.toThrow("missing0");
    expect(await state()).toBe(before);
    expect(isTaken()).toBe(false);
  });
});
