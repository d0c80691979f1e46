import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { EtcdServer } from "../../test/support/etcd.js";
import { eventually } from "../../test/support/process.js";
import { EtcdStore } from "../src/store/etcd-store.js";
import { MAX_WRITES } from "../src/store/transaction.js";
import type { Change, PrefixWatch, WatchHandler } from "../src/store/watch.js";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const WAIT_MS = 20_000;
const PREFIX = "/sluice/v1/test/";

let etcd: EtcdServer;
let store: EtcdStore;
beforeAll(async () => {
  etcd = await EtcdServer.start();
});
afterAll(() => etcd.stop());
beforeEach(() => {
  store = EtcdStore.open({ endpoints: [etcd.endpoint] });
});
afterEach(async () => {
  await store.transaction([], []);
  for await (const { entries } of store.list(PREFIX)) {
    for (let start = 0; start < entries.length; start += MAX_WRITES) {
      const some = entries.slice(start, start + MAX_WRITES);
      await store.transaction(
        [],
        some.map(({ key }) => ({ delete: key })),
      );
    }
  }
  await store.close();
});

/** What a watch makes of a prefix, with all that it was told. */
class Mirror {
  readonly entries = new Map<string, string>();
  readonly told: Change[] = [];
  readonly errors: string[] = [];
  synced = 0;
  restored = 0;
  readonly watch: PrefixWatch;

  constructor(prefix: string, pause = 0, whenPresent?: string) {
    const handler: WatchHandler = {
      changed: async (changes) => {
        if (pause > 0) await sleep(pause);
        for (const change of changes) this.#apply(change);
      },
      synced: () => {
        this.synced += 1;
      },
      lost: ({ problems }) => void this.errors.push(problems[0]?.code ?? ""),
      restored: () => {
        this.restored += 1;
      },
    };
    this.watch = store.watch(prefix, handler, whenPresent);
  }

  #apply(change: Change): void {
    this.told.push(change);
    if (change.value === undefined) this.entries.delete(change.key);
    else this.entries.set(change.key, change.value);
  }

  async holds(entries: Record<string, string>): Promise<void> {
    const expected = JSON.stringify(Object.entries(entries).sort());
    const now = () => JSON.stringify([...this.entries].sort());
    await eventually(`the mirror holding ${expected}`, WAIT_MS, () => (now() === expected ? true : undefined));
  }
}

const key = (name: string) => PREFIX + name;

async function fill(count: number, value: string): Promise<void> {
  for (let start = 0; start < count; start += MAX_WRITES) {
    const length = Math.min(MAX_WRITES, count - start);
    await store.transaction(
      [],
      Array.from({ length }, (_, i) => ({ put: key(String(start + i).padStart(6, "0")), value })),
    );
  }
}

describe("requests", () => {
  test("a key is put, read and deleted", async () => {
    const revision = await store.put(key("a"), "één");
    expect(await store.get(key("a"))).toEqual({ key: key("a"), value: "één", revision });
    await store.delete(key("a"));
    expect(await store.get(key("a"))).toBeUndefined();
    await store.delete(key("a"));
  });

  const CONDITIONS: [string, (revision: number) => Parameters<EtcdStore["transaction"]>[0], boolean][] = [
    ["absent, of a key that is there", () => [{ key: key("a"), is: "absent" }], false],
    ["absent, of a key that is not", () => [{ key: key("b"), is: "absent" }], true],
    ["present, of a key that is there", () => [{ key: key("a"), is: "present" }], true],
    ["present, of a key that is not", () => [{ key: key("b"), is: "present" }], false],
    ["the revision it was read at", (revision) => [{ key: key("a"), revision }], true],
    ["another revision", (revision) => [{ key: key("a"), revision: revision - 1 }], false],
    ["its value", () => [{ key: key("a"), value: "1" }], true],
    ["another value", () => [{ key: key("a"), value: "2" }], false],
    [
      "several, one of which does not hold",
      () => [
        { key: key("a"), value: "1" },
        { key: key("b"), is: "present" },
      ],
      false,
    ],
  ];
  test.each(CONDITIONS)("a transaction's condition: %s", async (_, conditions, done) => {
    const revision = await store.put(key("a"), "1");
    const result = await store.transaction(conditions(revision), [{ put: key("new"), value: "x" }]);
    expect(result.done).toBe(done);
    expect((await store.get(key("new")))?.value).toBe(done ? "x" : undefined);
  });

  test("of many who make one key, one does", async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        store.transaction([{ key: key("one"), is: "absent" }], [{ put: key("one"), value: String(i) }]),
      ),
    );
    expect(results.filter(({ done }) => done)).toHaveLength(1);
  });

  test("a listing of several pages is of one moment, in order, and of its prefix only", async () => {
    await fill(1200, "v");
    await store.put("/sluice/v1/tesu", "beside it");
    const keys: string[] = [];
    const revisions = new Set<number>();
    for await (const page of store.list(PREFIX)) {
      if (keys.length === 0) await store.put(key("zzz"), "while it is read");
      keys.push(...page.entries.map((entry) => entry.key));
      revisions.add(page.revision);
    }
    expect(keys).toEqual(Array.from({ length: 1200 }, (_, i) => key(String(i).padStart(6, "0"))));
    expect(revisions.size).toBe(1);
    await store.delete("/sluice/v1/tesu");
  });

  test("more writes than etcd takes are refused with a code, and nothing is written", async () => {
    const writes = Array.from({ length: MAX_WRITES + 1 }, (_, i) => ({ put: key(`w${i}`), value: "" }));
    await expect(store.transaction([], writes)).rejects.toMatchObject({ problems: [{ code: "etcd-refused" }] });
    expect(await store.get(key("w0"))).toBeUndefined();
  });
});

describe("an etcd that can't be used", () => {
  const OPTIONS: [string, Parameters<typeof EtcdStore.open>[0], string][] = [
    ["no endpoint", { endpoints: [] }, "etcd-endpoint"],
    ["no URL", { endpoints: ["localhost"] }, "etcd-endpoint localhost"],
    ["no port", { endpoints: ["http://localhost"] }, "etcd-endpoint http://localhost"],
    ["http and https", { endpoints: ["http://a:1", "https://b:1"] }, "etcd-endpoint http://a:1,https://b:1"],
    [
      "certificates without TLS",
      { endpoints: ["http://a:1"], tls: { ca: "/ca" } },
      "certificates are given: the URLs must be https",
    ],
    [
      "no CA file",
      { endpoints: ["https://a:1"], tls: { ca: "/none/ca.crt" } },
      "etcd-tls /none/ca.crt: no such file or directory",
    ],
    [
      "a certificate without its key",
      { endpoints: ["https://a:1"], tls: { ca: "/none/ca.crt", cert: "/none/c.crt" } },
      "belong together",
    ],
  ];
  test.each(OPTIONS)("%s", (_, options, message) => {
    expect(() => EtcdStore.open(options)).toThrow(message);
  });

  test("nobody listens: an error at once that names the endpoint", async () => {
    const away = EtcdStore.open({ endpoints: ["http://127.0.0.1:1"] });
    await expect(away.get("/a")).rejects.toMatchObject({
      problems: [{ code: "etcd-unavailable", path: "http://127.0.0.1:1" }],
    });
    await away.close();
  });
});

describe("a watch", () => {
  test("tells what is there, then synced, then each change", async () => {
    await fill(700, "1");
    const mirror = new Mirror(PREFIX);
    await mirror.watch.synced;
    expect(mirror.entries.size).toBe(700);
    expect(mirror.synced).toBe(1);
    const revision = await store.put(key("000003"), "2");
    await store.delete(key("000004"));
    await eventually("both changes", WAIT_MS, () => (mirror.told.length === 702 ? true : undefined));
    expect(mirror.told.slice(-2)).toEqual([
      { key: key("000003"), value: "2", revision },
      { key: key("000004"), revision: revision + 1 },
    ]);
  });

  test("tells nothing after it is closed", async () => {
    const mirror = new Mirror(PREFIX);
    await mirror.watch.synced;
    await mirror.watch.close();
    await mirror.watch.ended;
    await store.put(key("a"), "1");
    const other = new Mirror(PREFIX);
    await other.holds({ [key("a")]: "1" });
    expect(mirror.told).toEqual([]);
  });

  test("does not lose what changes while it lists", async () => {
    await fill(600, "1");
    const mirror = new Mirror(PREFIX, 30);
    await eventually("the first page", WAIT_MS, () => (mirror.told.length > 0 ? true : undefined));
    await store.put(key("000000"), "2");
    await store.put(key("999999"), "2");
    await eventually("both", WAIT_MS, () =>
      mirror.entries.get(key("000000")) === "2" && mirror.entries.get(key("999999")) === "2" ? true : undefined,
    );
  });

  test("ends with the handler's error", async () => {
    await store.put(key("a"), "1");
    const watch = store.watch(PREFIX, {
      changed: () => {
        throw new Error("no room");
      },
    });
    await expect(watch.ended).rejects.toThrow("no room");
    await expect(watch.synced).rejects.toThrow("no room");
  });

  test("several of one store don't disturb each other", async () => {
    const mirrors = [new Mirror(PREFIX), new Mirror(PREFIX), new Mirror(key("b"))];
    await Promise.all(mirrors.map(({ watch }) => watch.synced));
    await mirrors[0]?.watch.close();
    await store.put(key("b1"), "1");
    await mirrors[1]?.holds({ [key("b1")]: "1" });
    await mirrors[2]?.holds({ [key("b1")]: "1" });
    expect(mirrors.flatMap(({ errors }) => errors)).toEqual([]);
  });

  test("a value of the largest size, and many at once", async () => {
    const mirror = new Mirror(PREFIX);
    await mirror.watch.synced;
    const large = "x".repeat(10_000);
    await fill(MAX_WRITES, large);
    await store.put(key("1"), "y".repeat(1_400_000));
    await eventually("all", WAIT_MS, () => (mirror.entries.size === MAX_WRITES + 1 ? true : undefined));
    expect([...mirror.entries.values()].filter((value) => value === large)).toHaveLength(MAX_WRITES);
  });
});

describe("faults", () => {
  test("etcd is killed and returns: nothing is lost, nothing is told twice", async () => {
    await fill(10, "1");
    const mirror = new Mirror(PREFIX);
    await mirror.watch.synced;
    for (let round = 0; round < 3; round++) {
      await store.put(key("round"), String(round));
      await etcd.kill();
      await etcd.start();
      await eventually("the watch's return", WAIT_MS, () => (mirror.restored > round ? true : undefined));
      await store.delete(key(`00000${round}`));
      await eventually("the change", WAIT_MS, () => (mirror.entries.has(key(`00000${round}`)) ? undefined : true));
    }
    expect(mirror.told.map(({ key, value }) => [key.slice(PREFIX.length), value])).toEqual([
      ...Array.from({ length: 10 }, (_, i) => [`00000${i}`, "1"]),
      ...[0, 1, 2].flatMap((round) => [
        ["round", String(round)],
        [`00000${round}`, undefined],
      ]),
    ]);
    expect(new Set(mirror.errors)).toEqual(new Set(["etcd-unavailable"]));
    expect(mirror.restored).toBe(3);
    expect(mirror.synced).toBe(1);
  });

  test("etcd is away at the start: the watch begins when it is there", async () => {
    await store.put(key("a"), "1");
    await etcd.kill();
    const mirror = new Mirror(PREFIX);
    await eventually("a failure", WAIT_MS, () => (mirror.errors.length > 1 ? true : undefined));
    await etcd.start();
    await mirror.watch.synced;
    expect(mirror.entries).toEqual(new Map([[key("a"), "1"]]));
  });

  test("history is compacted while etcd can't be reached: listed again, only differences told", async () => {
    await fill(600, "1");
    // A watch that can't keep up is what a lost connection looks like to etcd: its revision is compacted under it.
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const told: Change[] = [];
    let synced = 0;
    const slow = store.watch(PREFIX, {
      changed: async (changes) => {
        told.push(...changes);
        if (told.some(({ value }) => value === "hold")) await held;
      },
      synced: () => {
        synced += 1;
      },
    });
    await slow.synced;
    told.length = 0;
    await store.put(key("hold"), "hold");
    await eventually("the held change", WAIT_MS, () => (told.length > 0 ? true : undefined));
    await etcd.kill();
    await etcd.start();
    await store.put(key("000001"), "2");
    await store.delete(key("000002"));
    await etcd.compact();
    release();
    await eventually("a new listing", WAIT_MS, () => (synced === 2 ? true : undefined));
    expect(told.map(({ key, value }) => [key.slice(PREFIX.length), value])).toEqual([
      ["hold", "hold"],
      ["000001", "2"],
      ["000002", undefined],
    ]);
    await store.put(key("after"), "1");
    await eventually("a change after it", WAIT_MS, () => (told.at(-1)?.key === key("after") ? true : undefined));
  });

  test("etcd is emptied and made anew: what is gone is told, whatever the revisions are", async () => {
    await fill(5, "1");
    const mirror = new Mirror(PREFIX);
    await mirror.watch.synced;
    await etcd.empty();
    await etcd.start();
    for (let i = 0; i < 50; i++) await store.put(key("000001"), `new ${i}`);
    await mirror.holds({ [key("000001")]: "new 49" });
    expect(mirror.synced).toBe(2);
  });

  test("with a key that must be present: an etcd that is emptied takes nothing away until it is filled again", async () => {
    const complete = "/sluice/v1/test-complete";
    await fill(5, "1");
    const mirror = new Mirror(PREFIX, 0, complete);
    await eventually("its refusal", WAIT_MS, () => (mirror.errors.includes("etcd-incomplete") ? true : undefined));
    expect(mirror.told).toEqual([]);
    await store.put(complete, "");
    await mirror.watch.synced;
    await etcd.empty();
    await etcd.start();
    mirror.errors.length = 0;
    await eventually("its refusal", WAIT_MS, () => (mirror.errors.includes("etcd-incomplete") ? true : undefined));
    await fill(4, "1");
    expect(mirror.entries.size).toBe(5);
    await store.put(complete, "");
    await eventually("the new listing", WAIT_MS, () => (mirror.synced === 2 ? true : undefined));
    expect(mirror.entries.size).toBe(4);
    await store.delete(complete);
  });
});
