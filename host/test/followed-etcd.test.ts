import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { EtcdServer } from "../../test/support/etcd.js";
import { eventually } from "../../test/support/process.js";
import { issue } from "../src/pki/certificate.js";
import { EtcdStore } from "../src/store/etcd-store.js";
import { FollowedEtcd } from "../src/store/followed.js";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const WAIT_MS = 30_000;
const KEY = "/sluice/v1/test/a";
const log = pino({ level: "silent" });

test("a store that is told another place goes on there, and its watches tell what is different", async () => {
  const first = await EtcdServer.start();
  const second = await EtcdServer.start();
  const other = EtcdStore.open({ endpoints: [second.endpoint] });
  const store = EtcdStore.open({ endpoints: [first.endpoint] });
  try {
    await store.put(KEY, "first");
    await other.put(KEY, "second");
    const told: (string | undefined)[] = [];
    const watch = store.watch("/sluice/v1/test/", {
      changed: (changes) => void told.push(...changes.map(({ value }) => value)),
    });
    await watch.synced;
    expect(told).toEqual(["first"]);
    store.use({ endpoints: [second.endpoint] });
    expect((await store.get(KEY))?.value).toBe("second");
    await eventually("the other etcd's record", WAIT_MS, () => (told.at(-1) === "second" ? true : undefined));
    await other.put(KEY, "third");
    await eventually("its changes", WAIT_MS, () => (told.at(-1) === "third" ? true : undefined));
    expect(told).toEqual(["first", "second", "third"]);
  } finally {
    await Promise.all([store.close(), other.close()]);
    await Promise.all([first.stop(), second.stop()]);
  }
});

describe("with certificates", () => {
  let folder: string;
  let etcd: EtcdServer;
  const file = (name: string) => join(folder, name);
  const authority = issue({ commonName: "ca", kind: "authority", days: 2 });

  /** etcd's is of its Service's name, and of no address. */
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "followed-etcd-test-"));
    const server = issue({ commonName: "etcd", kind: "server", days: 2, names: ["etcd.kube-system.svc"] }, authority);
    await writeFile(file("ca.crt"), authority.certificate);
    await writeFile(file("server.crt"), server.certificate);
    await writeFile(file("server.key"), server.key);
    etcd = await EtcdServer.start({ tls: { ca: file("ca.crt"), cert: file("server.crt"), key: file("server.key") } });
  });
  afterAll(async () => {
    await etcd?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function writeClient(signer: typeof authority): Promise<void> {
    const { certificate, key } = issue({ commonName: "client", kind: "client", days: 2 }, signer);
    await writeFile(file("tls.crt"), certificate);
    await writeFile(file("tls.key"), key);
  }

  const open = (serverName: string) =>
    FollowedEtcd.open(
      {
        at: { endpoints: [etcd.endpoint] },
        tls: { ca: file("ca.crt"), cert: file("tls.crt"), key: file("tls.key"), serverName },
      },
      { log },
    );

  test("etcd is known by the name that was asked for, and by no other", async () => {
    await writeClient(authority);
    const right = await open("etcd.kube-system.svc");
    const wrong = await open("other.kube-system.svc");
    try {
      await right.store.put(KEY, "1");
      await expect(wrong.store.get(KEY)).rejects.toMatchObject({ problems: [{ code: "etcd-unavailable" }] });
    } finally {
      await Promise.all([right.close(), wrong.close()]);
    }
  });

  test("new files are used, without a restart", async () => {
    await writeClient(issue({ commonName: "ca", kind: "authority", days: 2 }));
    const followed = await open("etcd.kube-system.svc");
    try {
      await expect(followed.store.put(KEY, "1")).rejects.toMatchObject({ problems: [{ code: "etcd-unavailable" }] });
      await writeClient(authority);
      await eventually("the new certificate", WAIT_MS, () =>
        followed.store.put(KEY, "2").then(
          () => true,
          () => undefined,
        ),
      );
    } finally {
      await followed.close();
    }
  });

  test("files that can't be used leave the last ones in use", async () => {
    await writeClient(authority);
    const followed = await open("etcd.kube-system.svc");
    try {
      await followed.store.put(KEY, "1");
      await cp(file("ca.crt"), file("kept.crt"));
      await rm(file("ca.crt"));
      await new Promise((wake) => setTimeout(wake, 2500));
      await followed.store.put(KEY, "2");
      await cp(file("kept.crt"), file("ca.crt"));
    } finally {
      await followed.close();
    }
  });
});
