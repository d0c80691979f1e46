import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cleanup } from "../support/cleanup.js";
import { Dataplane } from "../support/dataplane.js";
import { ownName } from "../support/leftovers.js";
import { connect, Namespace } from "../support/namespace.js";
import { flowFile, temporaryFolder } from "../support/topology.js";
import { httpServer, LARGE_BYTES, listening, ping } from "../support/traffic.js";

// Sluice routes between two Linux hosts; the way to the second one is narrow.
const NARROW_MTU = 1300;

const cleanup = new Cleanup();
let wide: Namespace;
let narrow: Namespace;

beforeAll(async () => {
  const router = await Namespace.create(cleanup, ownName("router"));
  wide = await host(router, "wide", 1, 1500);
  narrow = await host(router, "narrow", 2, NARROW_MTU);
  const folder = temporaryFolder(cleanup);
  const port = (name: string, number: number, mtu: number) => ({
    name,
    kind: "af-packet" as const,
    device: name,
    mtu,
    addresses: [`192.0.${number}.1/24`, `fd20:${number}::1/64`],
  });
  await new Dataplane(router, folder, cleanup).start({
    name: ownName("router"),
    memory: { size: 256 },
    conntrack: { maxFlows: 65536, file: flowFile(cleanup, ownName("router")) },
    stateDir: `${folder}/state`,
    cacheDir: `${folder}/cache`,
    ports: [port("wide", 1, 1500), port("narrow", 2, NARROW_MTU)],
    routes: [],
    plugins: [],
  });
});

afterAll(() => cleanup.close());

/** A host on the router's link `name`, whose default routes lead to the router. */
async function host(router: Namespace, name: string, number: number, mtu: number): Promise<Namespace> {
  const namespace = await Namespace.create(cleanup, ownName(name));
  await connect(router, name, namespace, "eth0", mtu);
  await router.sysctl({ [`net.ipv6.conf.${name}.disable_ipv6`]: 1 });
  await namespace.ip("addr", "add", `192.0.${number}.2/24`, "dev", "eth0");
  await namespace.ip("addr", "add", `fd20:${number}::2/64`, "dev", "eth0");
  await namespace.ip("route", "add", "default", "via", `192.0.${number}.1`);
  await namespace.ip("route", "add", "default", "via", `fd20:${number}::1`);
  return namespace;
}

describe.each([
  ["IPv4", "192.0.2.2", 28],
  ["IPv6", "fd20:2::2", 48],
] as const)("path MTU, %s", (family, target, headers) => {
  test("a packet that does not fit and may not be fragmented comes back as an error that names the MTU", async () => {
    const tooLarge = await ping(wide, target, { count: 1, size: 1500 - headers, pmtu: "do" });
    expect(tooLarge.received).toBe(0);
    expect(tooLarge.text).toMatch(/Frag needed and DF set \(mtu = 1300\)|Packet too big: mtu=1300/);
    expect(await wide.ip("route", "get", target)).toContain("mtu 1300");
  });

  test("the largest packet that fits passes", async () => {
    const fits = await ping(wide, target, { count: 3, size: NARROW_MTU - headers, pmtu: "do" });
    expect(fits.lost).toBe(0);
  });

  test("fragments that Linux made arrive whole, both ways", async () => {
    expect(await ping(wide, target, { count: 3, size: 4000, pmtu: "dont" })).toMatchObject({ lost: 0 });
    const back = family === "IPv4" ? "192.0.1.2" : "fd20:1::2";
    expect(await ping(narrow, back, { count: 3, size: 4000, pmtu: "dont" })).toMatchObject({ lost: 0 });
  });

  test("TCP finds the path's MTU by itself", async () => {
    const port = family === "IPv4" ? 8004 : 8006;
    await httpServer(cleanup, wide, "wide", port);
    const server = family === "IPv4" ? "192.0.1.2" : "[fd20:1::2]";
    await wide.ip("route", "flush", "cache");
    const page = await narrow.must(["curl", "-gsS", "--max-time", "5", `http://${server}:${port}/large`]);
    expect(page).toBe("x".repeat(LARGE_BYTES));
  });
});

test("IPv4 packets without DF are fragmented on the way to the narrow link", async () => {
  expect(await ping(wide, "192.0.2.2", { count: 3, size: 1472, pmtu: "dont" })).toMatchObject({ lost: 0 });
});

test("a large UDP datagram arrives whole", async () => {
  const payload = "y".repeat(20_000);
  const receiver = narrow.start(cleanup, ["socat", "-u", "-b", "65536", "UDP-RECV:9000", "STDOUT"]);
  await listening(narrow, 9000, "udp");
  await wide.must(["socat", "-u", "-b", "65536", "STDIN", "UDP:192.0.2.2:9000"], { input: payload });
  await expect.poll(() => receiver.stdout.length, { timeout: 3_000 }).toBe(payload.length);
});
