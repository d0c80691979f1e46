import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { addressesOf } from "../../src/ipam/attachment.js";
import { BlockAddresses } from "../../src/ipam/block.js";
import { Ipam, type Wanted } from "../../src/ipam/ipam.js";

let folder: string;
let now: number;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ipam-test-"));
  now = 1_000_000;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const COOL_DOWN_MS = 60_000;
const POOLS = [
  { name: "v4", family: 4, isDisabled: false, isFull: false },
  { name: "v6", family: 6, isDisabled: false, isFull: false },
] as const;
const BLOCKS = [
  { pool: "v4", block: "10.0.0.0/29" },
  { pool: "v6", block: "fd00::/125" },
];
const JOURNAL = "addresses.journal";

async function open(at = folder, blocks = BLOCKS): Promise<Ipam> {
  const ipam = await Ipam.open({ folder: at, coolDownMs: COOL_DOWN_MS, now: () => now });
  ipam.setBlocks(blocks, POOLS);
  return ipam;
}

function wanted(containerId: string, ...more: string[]): Wanted {
  const interfaces = ["eth0", ...more].map((name) => ({ name, kind: "tap" as const }));
  const pod = { namespace: "default", name: containerId, uid: containerId };
  return { containerId, ifname: "eth0", netns: "/n", pod, portMappings: [], interfaces };
}

const name = (containerId: string) => ({ containerId, ifname: "eth0" });

/** Block, how many addresses pods can have, the first and the last of them. */
const COUNTS: [string, number, string, string][] = [
  ["10.0.0.0/26", 62, "10.0.0.1", "10.0.0.62"],
  ["10.0.0.248/29", 6, "10.0.0.249", "10.0.0.254"],
  ["10.1.0.0/23", 510, "10.1.0.1", "10.1.1.254"],
  ["fd00::/122", 63, "fd00::1", "fd00::3f"],
  ["fd00::ff00/120", 255, "fd00::ff01", "fd00::ffff"],
  ["fd00::/64", (1 << 20) - 1, "fd00::1", "fd00::f:ffff"],
  ["10.0.0.0/31", 0, "10.0.0.1", "10.0.0.0"],
];

test.each(COUNTS)("of %s pods can have %i addresses, %s to %s", (block, count, first, last) => {
  const addresses = BlockAddresses.of(block);
  expect(addresses.count).toBe(count);
  expect(addresses.at(0)).toBe(first);
  if (count > 0) expect(addresses.at(count - 1)).toBe(last);
});

describe("addresses", () => {
  test("are one of each family for each interface, and the same when asked again", async () => {
    const ipam = await open();
    const first = await ipam.allocate(wanted("a", "net1"));
    expect(first.interfaces.map(({ addresses }) => addresses)).toEqual([
      ["10.0.0.1", "fd00::1"],
      ["10.0.0.2", "fd00::2"],
    ]);
    expect(await ipam.allocate(wanted("a", "net1"))).toEqual(first);
    expect(addressesOf(await ipam.allocate(wanted("b")))).toEqual(["10.0.0.3", "fd00::3"]);
    await ipam.close();
  });

  test("that were released rest, and the longest rested come first", async () => {
    const ipam = await open();
    await ipam.allocate(wanted("a"));
    await ipam.release(name("a"));
    for (const id of ["b", "c", "d", "e", "f"]) await ipam.allocate(wanted(id));
    await expect(ipam.allocate(wanted("g"))).rejects.toThrow("no-address: all IPv4 addresses of the node's 1 blocks");
    now += COOL_DOWN_MS;
    expect(addressesOf(await ipam.allocate(wanted("g")))).toContain("10.0.0.1");
    await ipam.close();
  });

  /** Pools of IPv4 of which nodes have all blocks, and what a pod that gets no address is told. */
  const PROSPECTS: [string[], RegExp][] = [
    [[], /; another block is asked for, try again$/],
    [["v4"], /; another block is asked for, try again$/],
    [["v4", "v4b"], /; no block is left of IPPools v4, v4b: make another IPPool, or remove pods$/],
  ];
  test.each(PROSPECTS)("of full pools (%j) say that there will be no more", async (full, expected) => {
    const ipam = await open();
    const pools = ["v4", "v4b"].map((pool) => ({ ...POOLS[0], name: pool, isFull: full.includes(pool) }));
    ipam.setBlocks(BLOCKS, pools);
    for (const id of ["a", "b", "c", "d", "e", "f"]) await ipam.allocate(wanted(id));
    await expect(ipam.allocate(wanted("g"))).rejects.toThrow(expected);
    await ipam.close();
  });

  test("of a family without a block, or without pools at all, are refused", async () => {
    const ipam = await open();
    ipam.setBlocks(BLOCKS.slice(0, 1), POOLS);
    await expect(ipam.allocate(wanted("a"))).rejects.toThrow("no-address: the node has no block of IPv6 addresses yet");
    ipam.setBlocks([], []);
    await expect(ipam.allocate(wanted("a"))).rejects.toThrow("no-address: the node knows no IPPool yet");
    expect(ipam.all()).toEqual([]);
    await ipam.close();
  });

  test("of a family whose pools are all disabled are refused, with what to do: a pod is not left without one", async () => {
    const ipam = await open();
    const disabled = { ...POOLS[0], isDisabled: true };
    ipam.setBlocks(BLOCKS, [disabled, POOLS[1]]);
    await expect(ipam.allocate(wanted("a"))).rejects.toThrow(
      "no-address: every IPPool of IPv4 addresses is disabled (v4); enable one, make another, or delete them if pods shall have no IPv4 address",
    );
    expect([...ipam.wants().keys()]).toEqual(["v6"]);
    ipam.setBlocks(
      [...BLOCKS, { pool: "v4b", block: "10.0.1.0/29" }],
      [disabled, { ...POOLS[0], name: "v4b" }, POOLS[1]],
    );
    expect(addressesOf(await ipam.allocate(wanted("a")))).toEqual(["10.0.1.1", "fd00::1"]);
    await ipam.close();
  });

  test("outlive the process, with those that rest", async () => {
    const before = await open();
    const kept = await before.allocate(wanted("a"));
    await before.allocate(wanted("b"));
    await before.release(name("b"));
    await before.close();
    const after = await open();
    expect(after.all()).toEqual([kept]);
    expect(after.usage()).toEqual({ used: 2, resting: 2, free: 9 });
    await after.close();
  });
});

describe("blocks", () => {
  /** Pods, blocks of the pool that the node has, blocks wanted. */
  const WANTS: [number, number, number][] = [
    [0, 0, 1],
    [0, 1, 1],
    [46, 1, 1],
    [47, 1, 2],
    [62, 1, 2],
    [62, 2, 2],
  ];
  test.each(WANTS)("%i pods with %i blocks of 62 addresses want %i", async (pods, blocks, expected) => {
    const ipam = await Ipam.open({ folder, coolDownMs: COOL_DOWN_MS, now: () => now });
    const own = Array.from({ length: blocks }, (_, index) => ({ pool: "v4", block: `10.0.${index}.0/26` }));
    ipam.setBlocks(own, [POOLS[0]]);
    await Promise.all(Array.from({ length: pods }, (_, index) => ipam.allocate(wanted(`c${index}`))));
    expect(ipam.wants()).toEqual(new Map([["v4", expected]]));
    await ipam.close();
  });

  test("of the next pool are wanted once the first one's are all given out", async () => {
    const ipam = await open();
    const pools = [POOLS[0], { ...POOLS[0], name: "v4b" }];
    ipam.setBlocks(BLOCKS.slice(0, 1), pools);
    expect(ipam.wants()).toEqual(
      new Map([
        ["v4", 2],
        ["v4b", 0],
      ]),
    ); // 6 free are few
    for (const id of ["a", "b", "c", "d", "e", "f"]) await ipam.allocate(wanted(id));
    expect(ipam.wants()).toEqual(
      new Map([
        ["v4", 2],
        ["v4b", 1],
      ]),
    );
    await ipam.close();
  });
});

describe("after a crash", () => {
  const LARGER = [
    { pool: "v4", block: "10.0.0.0/28" },
    { pool: "v6", block: "fd00::/124" },
  ];

  test("what was answered for holds, no address has two owners, and none is lost", async () => {
    // What was answered for by when, in bytes of the journal.
    const history: { bytes: number; owners: Map<string, string[]> }[] = [];
    const owners = new Map<string, string[]>();
    const ipam = await open(folder, LARGER);
    const record = async () => {
      const { length } = await readFile(join(folder, JOURNAL));
      history.push({ bytes: length, owners: new Map(owners) });
    };
    await record();
    for (const step of ["+a", "+b", "-a", "+c", "+a", "-b", "-c", "+d", "+e", "-a", "+f"]) {
      const id = step.slice(1);
      if (step.startsWith("+")) owners.set(id, addressesOf(await ipam.allocate(wanted(id))));
      else {
        await ipam.release(name(id));
        owners.delete(id);
      }
      await record();
      now += 1000;
    }
    await ipam.close();
    const bytes = await readFile(join(folder, JOURNAL));
    // Journal's own tests cut it at every byte; here before, at, and after the end of each record, and in its middle.
    const ends = [...bytes.keys()].filter((index) => bytes[index] === 10).map((index) => index + 1);
    const cuts = new Set(ends.flatMap((end) => [end - 1, end, end + 1, end + 40]).filter((cut) => cut <= bytes.length));
    for (const length of [0, ...cuts]) {
      const at = join(folder, `at${length}`);
      await mkdir(at);
      await writeFile(join(at, JOURNAL), bytes.subarray(0, length));
      const again = await open(at, LARGER);
      const answered = history.findLast((each) => each.bytes <= length);
      const found = new Map(again.all().map((each) => [each.containerId, addressesOf(each)]));
      expect(found).toEqual(answered?.owners);
      const { used, resting, free } = again.usage();
      expect(used).toBe([...found.values()].flat().length);
      expect(used + resting + free).toBe(14 + 15);
      const given = new Set([...found.values()].flat());
      const next = addressesOf(await again.allocate(wanted("next")));
      expect(next.filter((address) => given.has(address))).toEqual([]);
      await again.close();
    }
  });

  test("while it is written anew the old one or the new one is there, and both say the same", async () => {
    const ipam = await open(folder, LARGER);
    await ipam.allocate(wanted("kept"));
    // More than the spare records: it is written anew on the way.
    const ten = Array.from({ length: 10 }, (_, index) => `x${index}`);
    for (let round = 0; round < 60; round++) {
      await Promise.all(ten.map((id) => ipam.allocate(wanted(id))));
      await Promise.all(ten.map((id) => ipam.release(name(id))));
      now += COOL_DOWN_MS;
    }
    const { length } = (await readFile(join(folder, JOURNAL), "utf8")).split("\n");
    expect(length).toBeLessThan(1100);
    await ipam.close();
    const at = join(folder, "half");
    await mkdir(at);
    await copyFile(join(folder, JOURNAL), join(at, JOURNAL));
    await writeFile(join(at, `${JOURNAL}.part`), '{"add":{"conta');
    for (const each of [folder, at]) {
      const again = await open(each);
      expect(again.all().map(({ containerId }) => containerId)).toEqual(["kept"]);
      await again.close();
    }
  });
});
