import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { VERSION } from "../../../host/src/version.js";
import { Background, eventually, must, type Output, run } from "../../support/process.js";
import type { KubernetesObject } from "../kubectl.js";
import { Echoes } from "../traffic.js";
import { UDP_PORT } from "../workloads.js";
import type { World } from "./world.js";

const COMMAND_MS = 60_000;
/** Exit codes. */
const [DONE, FAILED, WRONG_USAGE] = [0, 1, 2];
const DROPPING = `if (packet.isUdp && packet.destinationPort == ${UDP_PORT}) packet.drop(DropReason.Policy);`;

/** A Plugin that looks at packets, or drops some. */
const guard = (version: string, what: string): KubernetesObject => ({
  apiVersion: "sluice.dev/v1alpha1",
  kind: "Plugin",
  metadata: { name: "guard" },
  spec: {
    source: {
      inline: `
import { Batch, definePlugin, DropReason } from "@sluice/sdk";
definePlugin({ name: "guard", version: "${version}" });
@hook("forward")
export function process(batch: Batch): void {
  for (let i = 0; i < batch.length; i++) {
    const packet = batch.at(i);
    ${what}
  }
}
`,
    },
    rollout: { settleSeconds: 0 },
  },
});

/** What an operator asks of a cluster, from a machine that has a kubeconfig and no more. */
export function commands(world: () => World): void {
  describe("asked by kubectl sluice", () => {
    const open = guard("1.0.0", "if (packet.isTcp) continue;");
    const closed = guard("2.0.0", DROPPING);
    let echoes: Echoes | undefined;

    const sluice = (...args: string[]): Promise<Output> =>
      run(world().deployment.userCommand("kubectl-sluice", ...args), { timeoutMs: COMMAND_MS });
    const ok = (...args: string[]): Promise<string> =>
      must(world().deployment.userCommand("kubectl-sluice", ...args), { timeoutMs: COMMAND_MS });
    const json = async <T>(...args: string[]): Promise<T> => JSON.parse(await ok(...args, "-o", "json")) as T;
    const file = (name: string) => join(world().cluster.plan.folder, name);
    const live = async (plugin: KubernetesObject) => {
      const { kubectl } = world().cluster;
      await kubectl.apply(plugin);
      await kubectl.must("wait", "--for=condition=Ready", "plugin/guard", "--timeout=90s");
    };

    beforeAll(() => live(open), 120_000);
    afterEach(() => echoes?.stop());
    afterAll(() => world().cluster.kubectl.delete(open));

    test("status waits until all is well, and names every part", async () => {
      const text = await ok("status", "--wait", "1m");
      for (const part of [
        /^node1 +yes/m,
        /^node2 +yes/m,
        /^reflector +sluice-reflector-/m,
        /^etcd +sluice-etcd-/m,
        /guard/,
      ])
        expect(text).toMatch(part);
    });

    test("version names those of the cluster, and kubectl finds it", async () => {
      const [versions, client] = await Promise.all([
        json<object>("version"),
        must(world().deployment.userCommand("kubectl", "sluice", "version", "--client")),
      ]);
      expect(versions).toMatchObject({ cluster: { dataplanes: { node1: VERSION, node2: VERSION } } });
      expect(client).toContain(`sluice ${VERSION}`);
    });

    test("trace follows a packet through both nodes, and top counts on both", async () => {
      const { one, far } = world().pods;
      echoes = await Echoes.start(world(), one, far);
      const [trace, top] = await Promise.all([
        ok("trace", "-c", "1", "icmp", "and", "src", "host", one.v4),
        json<{ node: string; rates?: { received: number } }[]>("top", "--count", "1", "--interval", "1s"),
      ]);
      expect(trace).toMatch(
        /^packet 1 +default\/one > default\/far +node1 -> node2$[\s\S]*^node node1:[\s\S]*guard[\s\S]*^node node2:/m,
      );
      expect(top.map(({ node }) => node)).toEqual(["node1", "node2"]);
    });

    test("sysdump is a whole archive, completion knows nodes and plugins", async () => {
      const dump = file("dump.tar.gz");
      const [written, plugins, nodes] = await Promise.all([
        json<{ complete: boolean }>("sysdump", "-w", dump),
        ok("complete", "--", "plugin", "history", "gu"),
        ok("complete", "--", "status", "--name", ""),
      ]);
      expect(written.complete).toBe(true);
      const names = await must(["tar", "-tzf", dump]);
      for (const name of ["nodes/node1", "nodes/node2", "plugins", "errors.txt"]) expect(names).toContain(name);
      expect({ plugins, nodes }).toEqual({ plugins: "guard\n", nodes: "node1\nnode2\n" });
    });

    test("connectivity test shows a matrix in which all is well, and leaves nothing behind", async () => {
      const output = await sluice("connectivity", "test");
      expect(output.stdout).toMatch(/^PATH +FROM +TO +TCP IPv4 +UDP IPv4 +TCP IPv6 +UDP IPv6$/m);
      expect(output.stdout).toMatch(/^pod to pod, other node +client +far +ok +ok +ok +ok$/m);
      expect(output.stdout).toMatch(/^policy denies +stranger +near +ok +ok +ok +ok$/m);
      expect(output.stdout).toMatch(/^all \d+ calls went as they should, in \d+ s$/m);
      expect(output.status).toBe(DONE);
      expect(await leftBehind()).toBe("");
    }, 120_000);

    /** What connectivity tests have left: pods, and namespaces that are not on their way out. */
    const leftBehind = async () => {
      const { kubectl } = world().cluster;
      const namespaces = ["--selector=sluice.dev/connectivity-test", "--field-selector=status.phase=Active"];
      return [
        await kubectl.must("get", "namespaces", ...namespaces, "--output=name"),
        await kubectl.must("get", "pods", "--all-namespaces", "--selector=role in (client,stranger)", "--output=name"),
      ].join("");
    };

    const WRONG: [args: string[], status: number, said: RegExp][] = [
      [["status", "--name", "node9"], FAILED, /unknown-node node9: .*did you mean.*there are: node1, node2/],
      [["connectivity", "test", "--name", "nowhere"], FAILED, /unknown-node nowhere: .*there are: node1, node2/],
      [["plugin", "history", "gard"], FAILED, /unknown-plugin gard: .*did you mean "guard"/],
      [["plugin", "rollback", "guard", "--to", "99"], FAILED, /no-revision guard: no generation 99; its history has/],
      [["plugin", "diff", "guard", "-f", "/nowhere.yaml"], FAILED, /unreadable-file \/nowhere\.yaml/],
      [["observe", "--from-pod", "nobody"], DONE, /^there is no pod default\/nobody now\nno events/],
      [["observe", "--verdict", "refused"], WRONG_USAGE, /--verdict .*refused.*forwarded, dropped/],
      [["trace", "tcp", "prot", "80"], WRONG_USAGE, /prot/],
      [["status", "--context", "other"], FAILED, /kubeconfig other: no such context; there are: /],
      [["sysdump", "-w", "/nowhere/dump.tar.gz"], FAILED, /unwritable-file \/nowhere\/dump\.tar\.gz/],
    ];
    test("what is asked wrongly is told, with what there is", async () => {
      const outputs = await Promise.all(WRONG.map(([args]) => sluice(...args)));
      for (const [index, [args, status, said]] of WRONG.entries()) {
        expect.soft({ args, ...outputs[index] }).toMatchObject({ args, status });
        expect.soft(outputs[index]?.stderr, args.join(" ")).toMatch(said);
      }
    }, 120_000);

    test("plugin list, diff, history and rollback: a version that drops datagrams comes and goes", async () => {
      const { one, far } = world().pods;
      writeFileSync(file("guard.json"), JSON.stringify(closed));
      const diff = await sluice("plugin", "diff", "guard", "-f", file("guard.json"));
      expect(diff.status).toBe(FAILED);
      expect(diff.stdout).toMatch(/^-.*1\.0\.0.*$[\s\S]*^\+.*2\.0\.0/m);
      await live(closed);
      expect(await ok("plugin", "diff", "guard")).toMatch(/node1[\s\S]*node2/);
      expect(await ok("plugin", "list")).toMatch(/^guard +True +Ready +2 of 2/m);
      const shown = await ok("plugin", "show", "guard");
      expect(shown).toMatch(/^plugin +guard 2\.0\.0$[\s\S]*^node1 +active +\d+[\s\S]*^node2 +active +\d+/m);

      echoes = await Echoes.overUdp(world(), one, far);
      const observed = ["--verdict", "dropped", "--from-pod", "one", "--to-pod", "far", "--drop-reason", "policy"];
      const seen = await ok("observe", "--follow", "-c", "3", ...observed);
      // A line that is too long goes on below, indented.
      const lines = seen.replaceAll(/\n +/g, "  ").trim().split("\n");
      expect(lines).toHaveLength(3);
      for (const line of lines)
        expect(line).toMatch(/node1 +dropped +policy by stage guard +default\/one:\d+ > default\/far:8081 +UDP/);
      expect(await ok("observe", ...observed)).toMatch(/node1 +dropped +policy by stage guard/);

      expect(await ok("plugin", "rollback", "guard")).toMatch(/^guard: goes back to generation 1 /);
      await eventually("datagrams are answered", COMMAND_MS, async () =>
        (await one.udp(far.v4, UDP_PORT)) === far.name ? true : undefined,
      );
      // Datagrams pass from the first node on; what was live is Superseded once the last one has it too.
      const history = await eventually("the roll-back is Live", COMMAND_MS, async () => {
        const said = await ok("plugin", "history", "guard");
        return /^ +3 +Live/m.test(said) ? said : undefined;
      });
      expect(history).toMatch(/^ +1 +Superseded[\s\S]*^ +2 +Superseded[\s\S]*^ +3 +Live +\S+ +\S+ +earlier module/m);
    }, 180_000);

    const INTERRUPTED: [args: string[], begun: RegExp, status: number][] = [
      [["observe", "--follow"], /observing 2 nodes/, DONE],
      [["trace", "-c", "1000", "udp", "port", "9"], /waiting for 1000 packets on 2 nodes/, DONE],
      [["top"], /node1/, DONE],
      [["connectivity", "test"], /creating 4 pods/, FAILED],
    ];
    test("Ctrl-C ends what goes on, and takes with it what was made", async () => {
      await Promise.all(
        INTERRUPTED.map(async ([args, begun, status]) => {
          const program = new Background(world().deployment.userCommand("kubectl-sluice", ...args));
          try {
            await eventually(`${args.join(" ")} goes on`, COMMAND_MS, () =>
              begun.test(program.stdout + program.stderr) ? true : undefined,
            );
            process.kill(program.pid, "SIGINT");
            const output = await program.finish(COMMAND_MS);
            expect.soft({ args, status: output.status, stderr: output.stderr }).toMatchObject({ args, status });
          } finally {
            await program.stop("SIGKILL");
          }
        }),
      );
      expect(await leftBehind()).toBe("");
    }, 120_000);
  });
}
