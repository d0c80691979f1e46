import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { PluginStatus } from "../../../host/src/resources/status.js";
import { root } from "../../support/dataplane.js";
import { eventually } from "../../support/process.js";
import type { KubernetesObject } from "../kubectl.js";
import { Echoes, reaches } from "../traffic.js";
import { UDP_PORT } from "../workloads.js";
import type { World } from "./world.js";

/** The compiler has a low priority. */
const WAIT_MS = 90_000;
/** What fails does so with the next datagram. */
const QUICKLY = { strategy: "AllAtOnce", settleSeconds: 1 };
/** Long enough to look at one node while the other one waits. */
const NODE_SETTLE_S = 5;
/** Of datagrams that nobody is to answer. */
const CLOSED_MS = 3_000;
const NAME = "closed-ports";

type Patch = Record<string, unknown>;

/** A user's stages by kubectl, while pods speak with each other. */
export function plugins(world: () => World): void {
  describe("a Plugin", () => {
    const { object, commands } = hotLoad();
    let echoes: Echoes[] = [];

    beforeEach(async () => {
      const { one, far } = world().pods;
      echoes = await Promise.all([Echoes.start(world(), one, far), Echoes.overUdp(world(), one, far)]);
    });
    afterEach(async () => {
      await Promise.all(echoes.map((each) => each.stop()));
    });
    afterAll(async () => {
      await world().cluster.kubectl.must("delete", "plugin", NAME, "--ignore-not-found");
    });
    /** The last word of each test. */
    const noneLost = () => Promise.all(echoes.map((each) => each.noneLost()));

    const patch = (spec: Patch) =>
      world().cluster.kubectl.must("patch", "plugin", NAME, "--type=merge", "-p", JSON.stringify({ spec }));
    const status = async () => {
      const found = await world().cluster.kubectl.json<{ status?: PluginStatus; metadata: { generation: number } }>(
        ...["get", "plugin", NAME],
      );
      return { generation: found.metadata.generation, ...found.status };
    };
    const ready = (expected: "True" | "False", reason: string) =>
      eventually(`Ready ${reason}`, WAIT_MS, async () => {
        const now = await status();
        const found = now.conditions?.find(({ type }) => type === "Ready");
        const isNow = found?.observedGeneration === now.generation && found.status === expected;
        return isNow && found.reason === reason ? { ...now, message: found.message } : undefined;
      });
    /** Digests of the module that the nodes' dataplanes run. */
    const running = async () => {
      const nodes = [...world().sluice.nodes.values()];
      interface Status {
        native: { stages: { name: string; digest: string }[] };
      }
      const statuses = await Promise.all(nodes.map((node) => node.json<Status>("status")));
      return statuses.map(({ native }) => native.stages.find(({ name }) => name === NAME)?.digest);
    };
    const allRun = (digest: string | undefined) =>
      eventually(`${digest ?? "none"} on all nodes`, WAIT_MS, async () =>
        (await running()).every((each) => each === digest) ? true : undefined,
      );

    test("by the README's commands: loaded, configured, replaced, taken back and removed, and no packet is lost", async () => {
      const { cluster } = world();
      const folder = cluster.plan.folder;
      writeFileSync(join(folder, `${NAME}.yaml`), hotLoad().text);
      expect(commands.at(-1)).toContain("delete");
      try {
        for (const line of commands.slice(0, -1)) await cluster.kubectl.script(line, folder);
        const { history = [] } = await status();
        expect(new Set(history.map(({ digest }) => digest)).size).toBe(2);
        await allRun(history[0]?.digest);
      } finally {
        await cluster.kubectl.script(commands.at(-1) ?? "", folder);
      }
      await allRun(undefined);
      await noneLost();
    }, 180_000);

    describe("whose new version", () => {
      const guard = "if (!packet.isUdp || !closed.has(packet.destinationPort)) continue;";
      const counted = "refused.add();";
      const state = "@unmanaged\n@flowState(1)\nclass Seen {\n  packets: u32 = 0;\n}\n";
      const inline = `${object.spec.source.inline}\n${state}`.replace(
        counted,
        `${counted}\n    packet.updateFlow<Seen>().packets++;`,
      );
      const good = { ...object.spec, source: { inline }, failure: "FailOpen", rollout: QUICKLY };

      beforeAll(async () => {
        await world().cluster.kubectl.apply({ ...object, spec: good });
        await ready("True", "Ready");
      }, 120_000);

      const source = (what: string, instead: string) => ({ source: { inline: inline.replace(what, instead) } });
      const everyUdp = (instead: string) => source(guard, `if (!packet.isUdp) continue;\n          ${instead}`);
      const shadow = { strategy: "Shadow", shadow: { packets: 200, timeoutSeconds: 5 } };

      const BROKEN: [what: string, change: Patch, reason: string, message: RegExp][] = [
        [
          "does not compile",
          source(guard, "packet.drap();"),
          "NoModule",
          /plugin-build-failed Plugin \S+ \/spec\/source\/inline:\d+:\d+/,
        ],
        ["has a configuration that does not fit", { config: { udp: "all" } }, "Invalid", /\/spec\/config\/udp/],
        [
          "takes no configuration",
          source("for (let i = 0; i < config.udp", 'if (config.udp.length > 0) throw new Error("no table");\n$&'),
          "RolledBack",
          /no table/,
        ],
        [
          "can't be ordered with the other stages",
          { before: [NAME] },
          "RolledBack",
          /can't be ordered with the others: closed-ports -> closed-ports/,
        ],
        [
          "keeps other state in flows, and does not migrate it",
          source("@flowState(1)", "@flowState(2)"),
          "RolledBack",
          /flows hold state of schema 1; .* does not migrate/,
        ],
        [
          "traps",
          everyUdp('if (packet.isUdp) throw new Error("no room");'),
          "RolledBack",
          /: abort: no room at \S+:\d+:\d+ in process, with packet/,
        ],
        [
          "never returns",
          everyUdp("while (packet.isUdp) refused.add();"),
          "RolledBack",
          /budget.* at \S+:\d+:\d+ in process, with packet/,
        ],
        [
          "treats packets otherwise than the one before",
          { ...source(guard, ""), rollout: shadow },
          "RolledBack",
          /packets: \d+ treated otherwise/,
        ],
      ];
      test.each(BROKEN)(
        "%s: it goes back on all nodes, says why, and no packet is lost",
        async (_, change, reason, message) => {
          const before = await running();
          await patch({ before: null, ...good, ...change });
          const after = await ready("False", reason);
          expect(after.message).toMatch(message);
          if (message.source.endsWith("with packet")) {
            expect(after.lastError?.node).toMatch(/^node[12]$/);
            expect(after.lastError?.packet).toMatch(/^IPv[46] .* (protocol|next header) 17/);
            expect(after.lastError?.source).toMatch(/:\d+:\d+ in process/);
          }
          await allRun(after.digest);
          expect(await running()).toEqual(before);
          if (reason === "RolledBack") expect(after.history?.at(-1)).toMatchObject({ outcome: "RolledBack" });
          await noneLost();
        },
        120_000,
      );

      test("comes to one node after the other", async () => {
        const [before] = await running();
        const nodeByNode = { strategy: "NodeByNode", settleSeconds: NODE_SETTLE_S };
        await patch({ ...good, ...source("1.0.0", "1.2.0"), rollout: nodeByNode });
        await eventually("it on the first node only", WAIT_MS, async () => {
          const [first, second] = await running();
          return first !== before && second === before ? true : undefined;
        });
        const after = await ready("True", "Ready");
        expect(await running()).toEqual([after.digest, after.digest]);
        await noneLost();
      }, 120_000);
    });

    test("is there, as it was, on a node that starts while the API server and etcd are away", async () => {
      const { cluster, sluice, pods } = world();
      const { apiServer, sluiceEtcd } = cluster.control;
      const node = sluice.nodes.get(pods.one.node);
      if (node === undefined) throw new Error(`no Sluice on ${pods.one.node}`);
      const programs = [node.agent, node.dataplane];
      await patch({ config: { udp: [UDP_PORT] }, rollout: QUICKLY });
      const { digest } = await ready("True", "Ready");
      await Promise.all([apiServer, sluiceEtcd].map((each) => each.stop("SIGKILL")));
      try {
        await Promise.all(programs.map((each) => each.stop("SIGKILL")));
        for (const each of programs) each.launch();
        await node.dataplane.ready();
        await allRun(digest);
        await eventually("pods reach each other", WAIT_MS, async () =>
          (await reaches(world(), pods.one, pods.far)) ? true : undefined,
        );
        const closed = await Echoes.overUdp(world(), pods.one, pods.far);
        await sleep(CLOSED_MS);
        for (const { sent, lost } of await closed.counts()) {
          expect(sent).toBeGreaterThan(50);
          expect(lost).toBe(sent);
        }
      } finally {
        await Promise.all([sluiceEtcd.start(), apiServer.start()]);
      }
    }, 180_000);
  });
}

interface PluginObject extends KubernetesObject {
  spec: { source: { inline: string }; config: Patch };
}

/** The README's section: its object, as text and read, and its commands. */
function hotLoad(): { text: string; object: PluginObject; commands: string[] } {
  const readme = readFileSync(`${root}/README.md`, "utf8");
  const section = /## Hot-load a stage\n(.*?)\n## /s.exec(readme)?.[1] ?? "";
  const block = (language: string) => new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "s").exec(section)?.[1] ?? "";
  const text = block(`yaml file=${NAME}.yaml`);
  const lines = block("sh").split("\n");
  const commands = lines.map((each) => each.replace(/\s+# .*$/, "").trim()).filter(Boolean);
  return { text, object: parse(text), commands };
}
