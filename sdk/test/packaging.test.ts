// The SDK as users get it: packed, installed in a folder elsewhere, and used there.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const SDK = fileURLToPath(new URL("..", import.meta.url));
const TSC = join(createRequire(import.meta.url).resolve("typescript/package.json"), "..", "bin", "tsc");
const INSTALL = ["install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
const LIMIT = 120_000;

const folder = mkdtempSync(join(tmpdir(), "sluice-packed-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }), 60_000);
let tarball: string;

interface Finished {
  code: number | null;
  out: string;
  /** Both streams. */
  all: string;
}

async function finish(cwd: string, command: string, args: readonly string[]): Promise<Finished> {
  const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  const finished: Finished = { code: null, out: "", all: "" };
  child.stdout.on("data", (data: Buffer) => {
    finished.out += data.toString();
    finished.all += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    finished.all += data.toString();
  });
  [finished.code] = (await once(child, "close")) as [number | null];
  return finished;
}

/** Runs a program to its end. @returns what it wrote to stdout; throws when it failed */
async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const { code, out, all } = await finish(cwd, command, args);
  if (code !== 0) throw new Error(`${[command, ...args].join(" ")} ended with ${code}:\n${all}`);
  return out;
}

/** The same for a shell's command line, with the seconds of CPU time that it took, all its processes' together. */
async function timed(cwd: string, line: string): Promise<{ all: string; seconds: number }> {
  const { code, all } = await finish(cwd, "bash", ["-c", `TIMEFORMAT="cpu %U %S"; time ${line}`]);
  const [, user = "", system = ""] = /cpu (\S+) (\S+)\n$/.exec(all) ?? [];
  if (code !== 0) throw new Error(`${line} ended with ${code}:\n${all}`);
  return { all, seconds: Number(user) + Number(system) };
}

interface Packed {
  filename: string;
  files: { path: string }[];
}
let packed: Packed;

beforeAll(async () => {
  const out = await run(SDK, "npm", "pack", "--json", "--loglevel=error", "--pack-destination", folder);
  [packed] = JSON.parse(out.slice(out.indexOf("[")) || "[]") as [Packed];
  tarball = join(folder, packed.filename);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  await run(folder, "npm", ...INSTALL, tarball);
}, LIMIT);

describe("the package", () => {
  test("holds what users need and nothing else", () => {
    const paths = packed.files.map(({ path }) => path);
    const allowed =
      /^(package\.json|README\.md|CHANGELOG\.md|LICENSE|abi\/[\w.]+\.json|assembly\/[\w/-]+\.ts|bin\/sluice-plugin\.mjs|dist\/[\w/-]+(\.d)?\.(js|ts)|include\/generated\/\w+\.h|templates\/[\w./-]+|types\/[\w.]+)$/;
    expect(paths.filter((path) => !allowed.test(path))).toEqual([]);
    expect(paths).toEqual(
      expect.arrayContaining([
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "assembly/generated/abi.ts",
        "dist/generated/abi.js",
      ]),
    );
  });

  test("has every file of dist/ from a source that is there", () => {
    const sources = packed.files
      .map(({ path }) => /^dist\/(?<name>.+?)(\.d\.ts|\.js)$/.exec(path)?.groups?.name)
      .filter((name) => name !== undefined);
    expect(sources.filter((name) => !existsSync(join(SDK, "src", `${name}.ts`)))).toEqual([]);
  });

  test("has a version that its change log tells of", () => {
    const { version, engines, license } = JSON.parse(readFileSync(join(SDK, "package.json"), "utf8"));
    expect(readFileSync(join(SDK, "CHANGELOG.md"), "utf8")).toContain(`\n## ${version}\n`);
    expect({ engines, license }).toEqual({ engines: { node: ">=20" }, license: "Apache-2.0" });
  });

  test("exports what its package.json says, with types", async () => {
    const installed = join(folder, "node_modules/@sluice/sdk");
    const { exports } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
    for (const [name, target] of Object.entries(exports as Record<string, string | Record<string, string>>)) {
      for (const path of typeof target === "string" ? [target] : Object.values(target)) {
        expect(existsSync(join(installed, path)), `${name}: ${path}`).toBe(true);
      }
    }
    const program = `for (const name of ["", "/build", "/testing", "/abi"]) {
      if (Object.keys(await import("@sluice/sdk" + name)).length === 0) throw new Error(name);
    }`;
    await run(folder, process.execPath, "--input-type=module", "-e", program);
  });
});

describe.each(["filter", "rewrite", "stateful", "observer"])("a plugin from the template %s", (template) => {
  const name = `my-${template}`;
  const project = join(folder, name);
  const plugin = (...args: string[]) => run(project, "npx", "--no-install", "sluice-plugin", ...args);
  const config = template === "observer" ? [] : ["--config", "config.json"];

  test(
    "is made, and its test is green after less than 30 seconds of machine time, the install left out",
    async () => {
      const made = await timed(
        folder,
        `npx --no-install sluice-plugin new ${name} --template ${template} --sdk ${tarball}`,
      );
      expect(made.all).toContain(`next: cd ${name} && npm install && npm test`);
      await run(project, "npm", ...INSTALL);
      const tested = await timed(project, "npm test");
      expect(tested.all).toMatch(/Tests .*\d passed/);
      expect(made.seconds + tested.seconds).toBeLessThan(30);
    },
    LIMIT,
  );

  test(
    "is built, by its name",
    async () => {
      await run(project, "npm", "run", "build");
      const { manifest, size } = JSON.parse(await plugin("inspect", `build/${name}.wasm`, "-o", "json"));
      expect(manifest).toMatchObject({ name, version: "0.1.0", hooks: ["forward"] });
      expect(size).toBe(readFileSync(join(project, `build/${name}.wasm`)).length);
    },
    LIMIT,
  );

  test(
    "takes a capture",
    async () => {
      const program = `import { ipv4, packet, udp, writePcap } from "@sluice/sdk/testing";
        writePcap("in.pcap", [packet(ipv4({ source: "10.1.2.3", destination: "192.0.2.1" }), udp({ sourcePort: 1, destinationPort: 443 }))]);`;
      await run(project, process.execPath, "--input-type=module", "-e", program);
      const files = ["--pcap", "in.pcap", "--out", "out.pcap"];
      const summary = JSON.parse(await plugin("run", `build/${name}.wasm`, ...files, ...config, "-o", "json"));
      const isDropped = template === "filter";
      expect(summary).toMatchObject({
        packets: 1,
        verdicts: isDropped ? { drop: 1 } : { pass: 1 },
        written: isDropped ? 0 : 1,
      });
      expect(existsSync(join(project, "out.pcap"))).toBe(true);
    },
    LIMIT,
  );

  test(
    "is measured",
    async () => {
      const args = ["--only", "node", "-o", "json", ...config];
      const { figures } = JSON.parse(await plugin("bench", `build/${name}.wasm`, ...args));
      expect(figures).toHaveLength(2);
    },
    LIMIT,
  );

  test(
    "is pushed to a layout",
    async () => {
      await plugin("push", `build/${name}.wasm`, "./layout");
      expect(readdirSync(join(project, "layout/blobs/sha256"))).toHaveLength(3);
    },
    LIMIT,
  );

  test(
    "is understood by editors: its sources and tests have right types",
    async () => {
      expect(await run(project, process.execPath, TSC, "-p", ".")).toBe("");
      const { out: stdout } = await finish(project, process.execPath, [TSC, "-p", "assembly", "--pretty", "false"]);
      // The SDK's own AssemblyScript is no TypeScript in all places; what is said of the author's files counts.
      expect(stdout.split("\n").filter((line) => /^[^ ]*\(/.test(line) && !line.startsWith("node_modules/"))).toEqual(
        [],
      );
      expect(stdout).not.toContain("TS6053"); // a file was not found
    },
    LIMIT,
  );
});
