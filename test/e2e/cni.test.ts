import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Cleanup } from "../support/cleanup.js";
import { type Answer, CNI_BINARY, CniServer, cniError } from "../support/cni-server.js";
import { ownName } from "../support/leftovers.js";
import { Namespace } from "../support/namespace.js";
import { run } from "../support/process.js";

const POD = {
  interfaces: [
    {
      name: "eth0",
      mac: "02:00:00:00:00:05",
      mtu: 1450,
      addresses: [
        { address: "10.1.0.5/32", gateway: "169.254.1.1" },
        { address: "fd00::5/128", gateway: "fe80::1" },
      ],
    },
  ],
  routes: [{ destination: "0.0.0.0/0", gateway: "169.254.1.1" }],
};

const ARGS = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=6b0e;K8S_POD_INFRA_CONTAINER_ID=c1";

// The binary as a runtime executes it, with a server of the agent's service on the other end of the socket.
describe("sluice-cni", () => {
  let cleanup: Cleanup;
  let folder: string;
  let pod: Namespace;
  let agent: CniServer;
  let configuration: Record<string, unknown>;

  beforeAll(async () => {
    cleanup = new Cleanup();
    folder = await mkdtemp(join(tmpdir(), `${ownName("cni")}-`));
    cleanup.defer(folder, () => rm(folder, { recursive: true }));
    pod = await Namespace.create(cleanup, ownName("pod"));
    agent = await CniServer.listen(cleanup, join(folder, "cni.sock"));
  });

  beforeEach(() => {
    agent.answers = {};
    agent.calls.length = 0;
    configuration = { cniVersion: "1.1.0", name: "sluice", type: "sluice-cni", socket: agent.socket };
  });

  afterAll(() => cleanup.close());

  /** As libcni executes it. The result is what standard output holds, if anything. */
  async function execute(command: string, fields: Record<string, unknown> = {}, env: Record<string, string> = {}) {
    const output = await run([CNI_BINARY], {
      input: JSON.stringify({ ...configuration, ...fields }),
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: "c1",
        CNI_IFNAME: "eth0",
        CNI_NETNS: pod.path,
        CNI_PATH: "/opt/cni/bin",
        CNI_ARGS: ARGS,
        ...env,
      },
    });
    const result = output.stdout === "" ? undefined : JSON.parse(output.stdout);
    return { status: output.status, result, stderr: output.stderr };
  }

  test("ADD tells the agent who, where and which ports, and gives its answer in each version's form", async () => {
    agent.answers.Add = POD;
    const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: "TCP", hostIP: "" }];
    const added = await execute("ADD", { capabilities: { portMappings: true }, runtimeConfig: { portMappings } });
    expect(added).toEqual({
      status: 0,
      stderr: "",
      result: {
        cniVersion: "1.1.0",
        interfaces: [{ name: "eth0", mac: "02:00:00:00:00:05", mtu: 1450, sandbox: pod.path }],
        ips: [
          { address: "10.1.0.5/32", gateway: "169.254.1.1", interface: 0 },
          { address: "fd00::5/128", gateway: "fe80::1", interface: 0 },
        ],
        routes: [{ dst: "0.0.0.0/0", gw: "169.254.1.1" }],
        dns: {},
      },
    });
    expect(agent.calls).toEqual([
      {
        name: "Add",
        request: {
          attachment: { containerId: "c1", ifname: "eth0" },
          netns: pod.path,
          pod: { namespace: "shop", name: "web-0", uid: "6b0e" },
          portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp", hostIp: "" }],
        },
      },
    ]);
    for (const cniVersion of ["0.4.0", "1.0.0"]) {
      const { result } = await execute("ADD", { cniVersion });
      expect(result).toMatchObject({
        cniVersion,
        interfaces: [{ name: "eth0" }],
        ips: [{ address: "10.1.0.5/32" }, {}],
      });
      expect(result.interfaces[0]).not.toHaveProperty("mtu");
    }
  });

  test("behind another plugin ADD gives that one's result too", async () => {
    agent.answers.Add = POD;
    const prevResult = {
      cniVersion: "1.1.0",
      interfaces: [{ name: "net1", sandbox: pod.path }],
      ips: [{ address: "192.0.2.7/24", interface: 0 }],
    };
    const { result } = await execute("ADD", { prevResult });
    expect(result).toMatchObject({
      interfaces: [{ name: "net1" }, { name: "eth0" }],
      ips: [{ interface: 0 }, { interface: 1 }, { interface: 1 }],
    });
    const taken = await execute("ADD", {
      prevResult: { ...prevResult, interfaces: [{ name: "eth0", sandbox: pod.path }] },
    });
    expect(taken.result).toMatchObject({
      code: 7,
      msg: 'prevResult.interfaces[0].name: must be another name than CNI_IFNAME, found "eth0"',
    });
  });

  test("CHECK goes by ADD's result: the agent's view, then the interface in the pod", async () => {
    agent.answers = { Add: POD, Check: {} };
    const { result: prevResult } = await execute("ADD");
    const check = async () => (await execute("CHECK", { prevResult })).result?.msg;
    expect(await check()).toBe("eth0 is gone");
    await pod.ip("tuntap", "add", "eth0", "mode", "tap");
    expect(await check()).toBe("eth0 is down");
    await pod.ip("link", "set", "eth0", "up");
    await pod.ip("addr", "add", "10.1.0.5/32", "dev", "eth0");
    expect(await check()).toBe("eth0 lacks fd00::5/128");
    await pod.ip("addr", "add", "fd00:0:0::5/128", "dev", "eth0");
    expect(await execute("CHECK", { prevResult })).toEqual({ status: 0, result: undefined, stderr: "" });
    expect(agent.calls.at(-1)?.request).toMatchObject({ addresses: ["10.1.0.5/32", "fd00::5/128"], netns: pod.path });
    agent.answers.Check = cniError({ code: 102, message: "no such attachment" });
    expect((await execute("CHECK", { prevResult })).result).toMatchObject({ code: 102, msg: "no such attachment" });
  });

  test("DEL does without the namespace", async () => {
    agent.answers.Del = {};
    for (const [CNI_NETNS, netns] of [
      [pod.path, pod.path],
      ["/run/netns/gone", ""],
      ["", ""],
    ] as const) {
      expect(await execute("DEL", {}, { CNI_NETNS })).toEqual({ status: 0, result: undefined, stderr: "" });
      expect(agent.calls.at(-1)).toEqual({
        name: "Del",
        request: { attachment: { containerId: "c1", ifname: "eth0" }, netns },
      });
    }
  });

  test("GC says what stays; STATUS what the agent says; VERSION needs no agent", async () => {
    agent.answers = { Gc: {}, Status: {} };
    const valid = [{ containerID: "c2", ifname: "net1" }];
    expect(await execute("GC", { "cni.dev/valid-attachments": valid })).toMatchObject({ status: 0, result: undefined });
    expect(agent.calls.at(-1)?.request).toEqual({ valid: [{ containerId: "c2", ifname: "net1" }] });
    expect(await execute("STATUS")).toMatchObject({ status: 0, result: undefined });
    agent.answers.Status = cniError({ code: 50, message: "no addresses are left" });
    expect(await execute("STATUS")).toMatchObject({ status: 1, result: { code: 50, msg: "no addresses are left" } });
    expect((await execute("VERSION", { cniVersion: "1.0.0", socket: "/nowhere" })).result).toEqual({
      cniVersion: "1.0.0",
      supportedVersions: ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"],
    });
  });

  test.each<[string, Answer | undefined]>([
    ["of an answer without a code", { grpc: 13, details: "boom" }],
    ["of a call that it does not know", undefined],
    ["of its own", cniError({ code: 11, message: "the dataplane is starting" })],
  ])("an agent's error %s: try again later", async (_, answer) => {
    agent.answers = answer === undefined ? {} : { Add: answer };
    expect(await execute("ADD")).toMatchObject({ status: 1, result: { code: 11, cniVersion: "1.1.0" } });
  });

  test("the agent's own errors reach the runtime as they are", async () => {
    agent.answers.Add = cniError({ code: 110, message: "pool default has no address left", details: "10.1.0.0/24" });
    const { status, result, stderr } = await execute("ADD");
    expect({ status, result }).toEqual({
      status: 1,
      result: { cniVersion: "1.1.0", code: 110, msg: "pool default has no address left", details: "10.1.0.0/24" },
    });
    expect(JSON.parse(stderr)).toMatchObject({
      level: 50,
      command: "ADD",
      containerId: "c1",
      pod: "shop/web-0",
      code: 110,
    });
  });

  test("an agent that is down, or hangs: try again later, and STATUS: not available", async () => {
    const socket = join(folder, "nobody.sock");
    for (const command of ["ADD", "DEL"]) {
      expect(await execute(command, { socket })).toMatchObject({
        status: 1,
        result: { code: 11, msg: "the node's agent cannot be asked: is it running?" },
      });
    }
    expect((await execute("STATUS", { socket })).result).toMatchObject({ code: 50 });
    agent.answers.Add = "never";
    expect((await execute("ADD", { timeoutSeconds: 1 })).result).toMatchObject({
      code: 11,
      msg: "the node's agent did not answer in time",
    });
  });

  test("wrong input is refused before the agent hears of it, with the place", async () => {
    const wrong = [
      await execute("ADD", {}, { CNI_NETNS: "/run/netns/gone" }),
      await execute("ADD", {}, { CNI_IFNAME: "a/b" }),
      await execute("ADD", { ipam: { type: "host-local" } }),
      await execute("ADD", { runtimeConfig: { portMappings: [{ hostPort: 0, containerPort: 1 }] } }),
    ];
    expect(wrong.map(({ status, result }) => [status, result.code, result.msg.split(":")[0]])).toEqual([
      [1, 8, "CNI_NETNS"],
      [1, 4, "CNI_IFNAME"],
      [1, 2, "ipam"],
      [1, 7, "runtimeConfig.portMappings[0].hostPort"],
    ]);
    expect(agent.calls).toEqual([]);
  });

  test("logFile gets a line for every call, and need not be writable", async () => {
    agent.answers.Del = {};
    const logFile = join(folder, "cni.log");
    await execute("DEL", { logFile });
    await execute("ADD", { logFile });
    const lines = (await readFile(logFile, "utf8")).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 30, command: "DEL", containerId: "c1", msg: "done" },
      { level: 50, command: "ADD", pod: "shop/web-0", code: 11 },
    ]);
    const unwritable = await execute("DEL", { logFile: "/proc/none/log" });
    expect(unwritable).toMatchObject({
      status: 0,
      stderr: expect.stringContaining("/proc/none/log cannot be written"),
    });
  });

  test("20 at once each get their own answer", async () => {
    agent.answers.Add = ({ attachment }) => ({
      interfaces: [{ name: attachment?.ifname ?? "", mac: "", addresses: [] }],
    });
    const names = Array.from({ length: 20 }, (_, index) => `eth${index}`);
    const results = await Promise.all(names.map((CNI_IFNAME) => execute("ADD", {}, { CNI_IFNAME })));
    expect(results.map(({ result }) => result.interfaces[0].name)).toEqual(names);
  });

  test("a person gets help and the version", async () => {
    expect((await run([CNI_BINARY, "--help"])).stdout).toContain("timeoutSeconds");
    expect((await run([CNI_BINARY, "--version"])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
