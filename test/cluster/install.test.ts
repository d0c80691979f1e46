import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KubeApi } from "@sluice/host/dist/kube/api.js";
import { issue } from "@sluice/host/dist/pki/certificate.js";
import { Pki } from "@sluice/host/dist/pki/pki.js";
import type { EtcdStore } from "@sluice/host/dist/store/etcd-store.js";
import { FollowedEtcd } from "@sluice/host/dist/store/followed.js";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Cleanup } from "../support/cleanup.js";
import { CNI_BINARY, CniServer } from "../support/cni-server.js";
import { root } from "../support/dataplane.js";
import { EtcdServer } from "../support/etcd.js";
import { ApiServer, type ApiUser, type Manifest, pathOf } from "../support/kube-api.js";
import { Background, eventually } from "../support/process.js";
import { KUBERNETES } from "./programs.js";

// What an installation's own programs do with a real API server: certificates, the way to etcd, the CNI's files on a node.

const WAIT_MS = 30_000;
const SLUICE = [process.execPath, `${root}/host/bin/sluice.js`];
const NAMESPACE = "kube-system";
const log = pino({ level: "silent" });
const MERGE_PATCH = "application/merge-patch+json";

let kubeEtcd: EtcdServer;
let api: ApiServer;
let folder: string;
let cleanup: Cleanup;

beforeAll(async () => {
  kubeEtcd = await EtcdServer.start();
  api = await ApiServer.start(KUBERNETES, kubeEtcd);
  await eventually("the namespace", WAIT_MS, async () =>
    (await api.call("GET", `/api/v1/namespaces/${NAMESPACE}`)).status === 200 ? true : undefined,
  );
}, 180_000);
afterAll(async () => {
  await api?.stop();
  await kubeEtcd?.stop();
});
beforeEach(async () => {
  cleanup = new Cleanup();
  folder = await mkdtemp(join(tmpdir(), "install-test-"));
  cleanup.defer(folder, () => rm(folder, { recursive: true, force: true }));
});
afterEach(() => cleanup.close());

const secret = (name: string): Manifest => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: { namespace: NAMESPACE, name },
});
const remove = (object: Manifest) => api.call("DELETE", `${pathOf(object)}/${object.metadata.name}`);

const base64 = (text: string) => Buffer.from(text).toString("base64");

async function dataOf(name: string): Promise<Record<string, string>> {
  const { data } = await api.must<{ data: Record<string, string> }>("GET", `${pathOf(secret(name))}/${name}`);
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]));
}

describe("sluice pki", () => {
  const place = { namespace: NAMESPACE, name: "etcd" };
  const ADDRESSES = ["127.0.0.1", "2001:db8::1"];

  /** What was done to each certificate. */
  async function pki(
    options: { addresses?: string[]; out?: string; user?: ApiUser } = {},
  ): Promise<Record<string, string>> {
    const { addresses = ADDRESSES, out = "out", user = "admin" } = options;
    const where = { api: KubeApi.load(api.kubeconfig(user)), secret: place, service: place, out: join(folder, out) };
    const results = await new Pki({ ...where, addresses, days: 365, log }).maintain();
    return Object.fromEntries(results.map(({ what, done }) => [what, done]));
  }

  afterEach(async () => {
    for (const name of ["etcd-ca", "etcd-client"]) await remove(secret(name));
  });

  test("makes what etcd and its clients need; etcd takes the client, and no other", async () => {
    expect(await pki()).toEqual({ authority: "made", client: "made", server: "made" });
    const out = (name: string) => join(folder, "out", name);
    expect((await stat(out("server.key"))).mode & 0o777).toBe(0o600);
    const tls = { ca: out("ca.crt"), cert: out("server.crt"), key: out("server.key") };
    const etcd = await EtcdServer.start({ tls });
    cleanup.defer("etcd", () => etcd.stop());
    const client = await dataOf("etcd-client");
    for (const [name, text] of Object.entries(client)) await writeFile(join(folder, name), text);
    const open = (cert: string, key: string) =>
      FollowedEtcd.open(
        {
          at: { endpoints: [etcd.endpoint] },
          tls: { ca: join(folder, "ca.crt"), cert, key, serverName: "etcd.kube-system.svc" },
        },
        { log },
      );
    const followed = await open(join(folder, "tls.crt"), join(folder, "tls.key"));
    cleanup.defer("client", () => followed.close());
    await followed.store.put("/sluice/v1/test/a", "1");
  });

  test("run again it changes nothing", async () => {
    await pki();
    const before = [
      await dataOf("etcd-ca"),
      await dataOf("etcd-client"),
      await readFile(join(folder, "out", "server.crt"), "utf8"),
    ];
    expect(await pki()).toEqual({ authority: "kept", client: "kept", server: "kept" });
    const after = [
      await dataOf("etcd-ca"),
      await dataOf("etcd-client"),
      await readFile(join(folder, "out", "server.crt"), "utf8"),
    ];
    expect(after).toEqual(before);
  });

  test("fills Secrets that are there and empty, as an installation makes them", async () => {
    await api.make(secret("etcd-ca"));
    await api.make(secret("etcd-client"));
    expect(await pki()).toEqual({ authority: "made", client: "made", server: "made" });
  });

  test("with one more address etcd's certificate is another one, and no other is", async () => {
    await pki();
    expect(await pki({ addresses: [...ADDRESSES, "192.0.2.7"] })).toEqual({
      authority: "kept",
      client: "kept",
      server: "renewed",
    });
  });

  test("with the authority gone all are made anew", async () => {
    await pki();
    await remove(secret("etcd-ca"));
    expect(await pki()).toEqual({ authority: "made", client: "renewed", server: "renewed" });
  });

  test("a client's certificate that has ended is renewed", async () => {
    await pki();
    const { "ca.crt": certificate = "", "ca.key": key = "" } = await dataOf("etcd-ca");
    const ended = issue({ commonName: "etcd", kind: "client", days: 0 }, { certificate, key });
    const data = { "tls.crt": base64(ended.certificate), "tls.key": base64(ended.key) };
    await api.must("PATCH", `${pathOf(secret("etcd-client"))}/etcd-client`, { data }, MERGE_PATCH);
    expect(await pki()).toEqual({ authority: "kept", client: "renewed", server: "kept" });
    expect((await dataOf("etcd-client"))["tls.crt"]).not.toBe(ended.certificate);
  });

  test("several at once agree on one authority", async () => {
    await Promise.all(["a", "b", "c"].map((name) => pki({ out: name })));
    const authorities = await Promise.all(
      ["a", "b", "c"].map((name) => readFile(join(folder, name, "ca.crt"), "utf8")),
    );
    expect(new Set(authorities)).toEqual(new Set([(await dataOf("etcd-ca"))["ca.crt"]]));
  });

  test("followed, as a command, it makes them and ends with a signal", async () => {
    const program = new Background([
      ...[...SLUICE, "pki", "--secret", `${NAMESPACE}/etcd`, "--service", `${NAMESPACE}/etcd`, "--follow"],
      ...["--address", ADDRESSES.join(), "--out", join(folder, "out"), "--kubeconfig", api.kubeconfig("admin")],
    ]);
    cleanup.defer("pki", async () => void (await program.stop()));
    await eventually("certificates", WAIT_MS, () => (program.stdout.includes("server     made") ? true : undefined));
    expect((await program.stop()).status).toBe(0);
  });

  test("without the right to it says so", async () => {
    await expect(pki({ user: "reflector" })).rejects.toThrow(
      /^kube-denied \/api\/v1\/namespaces\/kube-system\/secrets\/etcd-ca: .*forbidden/,
    );
  });
});

describe("etcd behind a Service", () => {
  const slice = (name: string, addresses: string[], ready = true): Manifest => ({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { namespace: NAMESPACE, name, labels: { "kubernetes.io/service-name": "etcd" } },
    addressType: "IPv4",
    endpoints: [{ addresses, conditions: { ready } }],
    ports: [
      { name: "peer", port: 2380 },
      { name: "client", port: 2379 },
    ],
  });
  const made: Manifest[] = [];
  const make = async (object: Manifest) => {
    made.push(object);
    await api.make(object);
  };
  afterEach(async () => {
    for (const object of made.splice(0)) await remove(object);
  });

  const patch = (name: string, ready: boolean) =>
    api.must("PUT", `${pathOf(slice(name, []))}/${name}`, slice(name, ["192.0.2.1"], ready));
  async function follow(kubeconfig = api.kubeconfig("admin")): Promise<EtcdStore> {
    const source = { at: { service: { namespace: NAMESPACE, name: "etcd" }, kubeconfig } };
    const followed = await FollowedEtcd.open(source, { file: join(folder, "etcd.json"), log });
    cleanup.defer("client", () => followed.close());
    return followed.store;
  }
  const found = (store: EtcdStore, endpoints: string) =>
    eventually(`etcd at ${endpoints}`, WAIT_MS, () => (store.endpoints === endpoints ? true : undefined));

  test("is found, also when it appears later, and followed to where it goes", async () => {
    const store = await follow();
    await expect(store.get("/a")).rejects.toThrow("it is not known yet where etcd is");
    await make(slice("etcd-a", ["192.0.2.1"]));
    await found(store, "http://192.0.2.1:2379");
    await make(slice("etcd-b", ["192.0.2.2"]));
    await found(store, "http://192.0.2.1:2379,http://192.0.2.2:2379");
    await remove(slice("etcd-a", []));
    await found(store, "http://192.0.2.2:2379");
  });

  test("that has no endpoint for a while is looked for where it was", async () => {
    await make(slice("etcd-a", ["192.0.2.1"]));
    const store = await follow();
    await found(store, "http://192.0.2.1:2379");
    await patch("etcd-a", false);
    await make(slice("etcd-b", ["192.0.2.2"]));
    await found(store, "http://192.0.2.2:2379");
    await remove(slice("etcd-b", []));
    await patch("etcd-a", true);
    await found(store, "http://192.0.2.1:2379");
  });

  test("is where it was last for a start without the API", async () => {
    await make(slice("etcd-a", ["192.0.2.1"]));
    await found(await follow(), "http://192.0.2.1:2379");
    const file = join(folder, "etcd.json");
    await eventually("the file", WAIT_MS, async () =>
      (await readFile(file, "utf8").catch(() => "")) === "" ? undefined : true,
    );
    const config = await readFile(api.kubeconfig("admin"), "utf8");
    const nowhere = join(folder, "nowhere.kubeconfig");
    await writeFile(nowhere, config.replace(api.url, "https://127.0.0.1:1"));
    expect((await follow(nowhere)).endpoints).toBe("http://192.0.2.1:2379");
  });
});

describe("sluice node-install", () => {
  const daemonSet: Manifest = {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { namespace: NAMESPACE, name: "sluice" },
    spec: {
      selector: { matchLabels: { app: "sluice" } },
      template: { metadata: { labels: { app: "sluice" } }, spec: { containers: [{ name: "agent", image: "none" }] } },
    },
  };
  const role: Manifest = {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    metadata: { namespace: NAMESPACE, name: "node-install" },
    rules: [{ apiGroups: ["apps"], resources: ["daemonsets"], resourceNames: ["sluice"], verbs: ["get"] }],
  };
  const binding: Manifest = {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    metadata: { namespace: NAMESPACE, name: "node-install" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "node-install" },
    subjects: [{ kind: "ServiceAccount", namespace: NAMESPACE, name: "sluice-reflector" }],
  };
  let agent: CniServer;
  const program = () => join(folder, "bin", "sluice-cni");
  const conflist = () => join(folder, "conf", "10-test.conflist");
  /** What is to be installed. */
  const own = () => join(folder, "10-test.conflist");

  beforeEach(async () => {
    for (const name of ["bin", "conf", "state"]) await mkdir(join(folder, name));
    agent = await CniServer.listen(cleanup, join(folder, "cni.sock"));
    agent.answers = { Status: {} };
    const list = JSON.parse(await readFile(`${root}/deploy/cni/10-sluice.conflist`, "utf8"));
    list.plugins[0].socket = agent.socket;
    await writeFile(join(folder, "10-test.conflist"), JSON.stringify(list));
    for (const object of [daemonSet, role, binding]) await api.make(object);
  });
  afterEach(async () => {
    for (const object of [daemonSet, role, binding]) await remove(object);
  });

  /** With no right but that to its DaemonSet. */
  function start(user: ApiUser = "reflector"): Background {
    const installer = new Background([
      ...[...SLUICE, "node-install", "--daemonset", `${NAMESPACE}/sluice`, "--kubeconfig", api.kubeconfig(user)],
      ...["--cni-bin", join(folder, "bin"), "--cni-conf", join(folder, "conf")],
      ...["--conflist", join(folder, "10-test.conflist"), "--remove", join(folder, "state")],
    ]);
    cleanup.defer("node-install", async () => void (await installer.stop("SIGKILL")));
    return installer;
  }
  const text = (file: string) => readFile(file, "utf8").catch(() => "");
  const isProgram = async () => {
    const found = await readFile(program()).catch(() => Buffer.of());
    return found.equals(await readFile(CNI_BINARY)) && ((await stat(program())).mode & 0o777) === 0o755;
  };
  const until = (what: string, holds: () => Promise<boolean>) =>
    eventually(what, WAIT_MS, async () => ((await holds()) ? true : undefined));
  const installed = (installer: Background) =>
    until("installed", async () => installer.stdout.startsWith("installed: "));

  test("the program comes at once, the configuration when the agent can add pods", async () => {
    agent.answers = { Status: { grpc: 9, details: "the dataplane is away" } };
    const installer = start();
    await until("the program", isProgram);
    await until("asked", async () => agent.calls.some(({ name }) => name === "Status"));
    expect(await text(conflist())).toBe("");
    agent.answers = { Status: {} };
    await installed(installer);
    expect(await text(conflist())).toBe(await text(join(folder, "10-test.conflist")));
    expect(await readdir(join(folder, "conf"))).toEqual(["10-test.conflist"]);
  });

  const DAMAGE: [string, () => Promise<void>][] = [
    ["the program is removed", () => unlink(program())],
    ["the configuration is removed", () => unlink(conflist())],
    ["the program is another one", () => writeFile(program(), "#!/bin/false\n")],
    ["the configuration is another one", () => writeFile(conflist(), "{}")],
    ["the program can't be executed", () => chmod(program(), 0o644)],
    ["both are removed", async () => void (await Promise.all([unlink(program()), unlink(conflist())]))],
  ];
  test("what somebody damages is put right", async () => {
    const installer = start();
    await installed(installer);
    for (const [what, damage] of DAMAGE) {
      await damage();
      await until(`${what}: the program`, isProgram);
      await until(`${what}: the configuration`, async () => (await text(conflist())) === (await text(own())));
    }
  });

  test("at the end of a pod whose DaemonSet stays both stay", async () => {
    const installer = start();
    await installed(installer);
    await writeFile(join(folder, "state", "kept"), "");
    expect((await installer.stop()).status).toBe(0);
    expect(await isProgram()).toBe(true);
    expect(await text(conflist())).not.toBe("");
    expect(await readdir(join(folder, "state"))).toEqual(["kept"]);
  });

  const UNINSTALLS: [string, () => Promise<unknown>][] = [
    ["is gone", () => remove(daemonSet)],
    // As Helm does, in one second.
    ["and the right to see it are gone", () => Promise.all([remove(daemonSet), remove(binding), remove(role)])],
    [
      "is going",
      async () => {
        const path = `${pathOf(daemonSet)}/sluice`;
        await api.must("PATCH", path, { metadata: { finalizers: ["sluice.dev/test"] } }, MERGE_PATCH);
        await remove(daemonSet);
      },
    ],
  ];
  test.each(UNINSTALLS)("at the end of a pod whose DaemonSet %s all goes", async (_, uninstall) => {
    const installer = start();
    await installed(installer);
    await mkdir(join(folder, "state", "node"));
    await uninstall();
    try {
      expect((await installer.stop()).status).toBe(0);
      const left = await Promise.all(["bin", "conf", "state"].map((name) => readdir(join(folder, name))));
      expect(left).toEqual([[], [], []]);
    } finally {
      await api.call("PATCH", `${pathOf(daemonSet)}/sluice`, { metadata: { finalizers: null } }, MERGE_PATCH);
    }
  });

  test("who may not see the DaemonSet removes nothing, and says so at the start", async () => {
    await Promise.all([remove(binding), remove(role)]);
    const installer = start();
    await installed(installer);
    expect(installer.stderr).toContain("the DaemonSet can't be read: an uninstall may leave files here");
    await remove(daemonSet);
    await installer.stop();
    expect(await isProgram()).toBe(true);
  });

  test("another CNI's configuration that comes first is told", async () => {
    await writeFile(join(folder, "conf", "05-other.conflist"), "{}");
    const installer = start();
    await installed(installer);
    expect(installer.stderr).toContain("05-other.conflist");
  });
});
