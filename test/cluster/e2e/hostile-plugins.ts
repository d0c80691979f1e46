import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { PluginStatus } from "../../../host/src/resources/status.js";
import { root } from "../../support/dataplane.js";
import { eventually } from "../../support/process.js";
import type { KubernetesObject } from "../kubectl.js";
import { Echoes } from "../traffic.js";
import type { World } from "./world.js";

/** The compiler has a low priority. */
const TOLD_MS = 90_000;
const PORT = 5999;
const HOST = `127.0.0.1:${PORT}`;

/** A module of Sluice's, but for the module that its first import is of. */
const IMPORTS = readFileSync(`${root}/plugins/srv6/build/srv6.wasm`);
IMPORTS.write("wsx", IMPORTS.indexOf("env"));

/** Serves what the objects name, and answers no registry's client. */
const SERVER = `
const answers = {
  "/large.wasm": (answer) => { answer.writeHead(200, { "content-length": 100 << 20 }); answer.end(Buffer.alloc(100 << 20)); },
  "/imports.wasm": (answer) => answer.end(Buffer.from("${IMPORTS.toString("base64")}", "base64")),
};
require("node:http").createServer(({ url }, answer) => answers[url]?.(answer)).listen(${PORT}, "127.0.0.1");
`;

const at = (file: string, sha256: string) => ({ url: { url: `http://${HOST}/${file}`, sha256 } });
const LIE = "0".repeat(64);

/** Each instance of the function needs another one. */
const ENDLESS = `
import { Batch } from "@sluice/sdk";
function again<T>(value: T): void { again<Array<T>>([value]); }
@hook("forward")
export function process(batch: Batch): void { again<i32>(batch.length); }
`;
const GOOD = `
import { Batch } from "@sluice/sdk";
@hook("forward")
export function process(batch: Batch): void {
  for (let i = 0; i < batch.length; i++) batch.at(i);
}
`;

const HOSTILE: [name: string, source: object, error: RegExp][] = [
  ["endless-source", { inline: ENDLESS }, /compile-(time|memory) .*(CPU time|MiB)/],
  ["large-module", at("large.wasm", LIE), /module-too-large/],
  [
    "wrong-imports",
    at("imports.wasm", createHash("sha256").update(IMPORTS).digest("hex")),
    /module-imports .*wsx\.abort/,
  ],
  ["lying-digest", at("imports.wasm", LIE), /digest-mismatch .*other content than the digest says/],
  ["stalled-registry", { oci: { reference: `${HOST}/team/guard:1`, plainHttp: true } }, /fetch-failed .*127\.0\.0\.1/],
];

/** Objects that mean harm: one clear error each, and nothing else is disturbed. */
export function hostilePlugins(world: () => World): void {
  describe("hostile Plugins", () => {
    test("each get one clear error, while pods are reached and a good Plugin comes to all nodes", async () => {
      const { cluster, pods } = world();
      const server = cluster.control.daemon({
        name: "hostile-server",
        argv: [process.execPath, "-e", SERVER],
        ready: cluster.control.serves(`${HOST}/imports.wasm`),
        readyMs: 30_000,
      });
      await server.start();
      const echoes = await Echoes.start(world(), pods.one, pods.far);
      const objects = HOSTILE.map(([name, source]) => plugin(name, source));
      try {
        await cluster.kubectl.apply(...objects, plugin("good", { inline: GOOD }));
        await cluster.kubectl.must("wait", "--for=condition=Programmed", "plugin/good", "--timeout=60s");
        const told = await Promise.all(HOSTILE.map(([name]) => message(world(), name)));
        for (const [index, [, , error]] of HOSTILE.entries()) expect(told[index]).toMatch(error);
        await echoes.noneLost();
      } finally {
        await echoes.stop();
        await cluster.kubectl.delete(...objects, plugin("good", { inline: GOOD }));
        await server.stop("SIGKILL");
      }
    }, 240_000);
  });
}

function plugin(name: string, source: object): KubernetesObject {
  return { apiVersion: "sluice.dev/v1alpha1", kind: "Plugin", metadata: { name }, spec: { source } };
}

/** Of its condition Compiled, once it says that there is no module. */
function message({ cluster }: World, name: string): Promise<string> {
  return eventually(`the error of ${name}`, TOLD_MS, async () => {
    const { status } = await cluster.kubectl.json<{ status?: PluginStatus }>("get", "plugin", name);
    const compiled = status?.conditions?.find(({ type }) => type === "Compiled");
    return compiled?.status === "False" ? compiled.message : undefined;
  });
}
