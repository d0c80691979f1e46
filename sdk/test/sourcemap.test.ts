// From a byte of a built module back to its source.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BuildResult, buildPlugin, describeModule, sourceOf } from "@sluice/sdk/build";
import { ipv4, loadPlugin, NodeStage, packetHex, udp } from "@sluice/sdk/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeModule } from "./modules.js";

const LIMIT = 120_000;
const main = `import { Batch, Packet, definePlugin } from "@sluice/sdk";
import { fail } from "./parts/fail";

definePlugin({ name: "mapped", version: "1.0.0" });

@hook("forward")
function process(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (packet.mark == 1) fail(packet.destinationPort);
    if (packet.mark == 2) packet.mark = packet.tcp.sequence;
    if (packet.mark == 3) packet.mark = 7 / (packet.destinationPort - 80);
  }
}
`;
const part = `// A comment first.
export function fail(port: u32): void {
  if (port == 80) {
    unreachable();
  }
}
`;

/** A project's folder with the plugin's sources in assembly/. */
async function project(folder: string): Promise<string> {
  await mkdir(join(folder, "assembly/parts"), { recursive: true });
  await writeFile(join(folder, "package.json"), '{ "name": "mapped" }');
  await writeFile(join(folder, "assembly/index.ts"), main);
  await writeFile(join(folder, "assembly/parts/fail.ts"), part);
  return join(folder, "assembly/index.ts");
}

let folder: string;
let entry: string;
let release: BuildResult;
let debug: BuildResult;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-map-"));
  entry = await project(join(folder, "one"));
  release = await buildPlugin({ entry });
  debug = await buildPlugin({ entry, debug: true });
}, LIMIT);
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const packet = packetHex(
  ipv4({ source: "10.0.0.1", destination: "192.0.2.1" }),
  udp({ sourcePort: 1000, destinationPort: 80 }),
);

describe.each([
  ["release", () => release],
  ["debug", () => debug],
])("a trap in a %s build names the line", (_name, built) => {
  const trapOf = async (mark: number) => {
    const packets = [0, mark].map((each) => ({ in: packet, mark: each, expect: { verdict: "pass" as const } }));
    return (await new NodeStage(built().wasm).run({ name: "", hook: "forward", packets })).trap;
  };
  test("of another file", async () => {
    expect(await trapOf(1)).toEqual({
      ...{ message: "unreachable", packet: 1, source: "assembly/parts/fail.ts:4:5" },
      about: "udp 10.0.0.1:1000 > 192.0.2.1:80, 28 bytes",
    });
  });
  test("of the library, and of the call", async () => {
    expect((await trapOf(2))?.source).toMatch(/^~sdk\/.*\.ts:\d+:\d+, called near assembly\/index\.ts:1[01]:\d+$/);
  });
  test("of a division by zero", async () => {
    expect(await trapOf(3)).toMatchObject({
      message: "divide by zero",
      source: expect.stringMatching(/^assembly\/index\.ts:12:\d+$/),
    });
  });
});

test("what a harness's user reads of a trap is one line", async () => {
  const stage = await loadPlugin(release.wasm);
  const { trap } = await stage.send(packet, { mark: 1 });
  expect(trap).toBe("unreachable, at assembly/parts/fail.ts:4:5, on udp 10.0.0.1:1000 > 192.0.2.1:80, 28 bytes");
});

describe("the map", () => {
  const mapOf = ({ sourceMap }: BuildResult) =>
    JSON.parse(sourceMap) as { sources: string[]; sourcesContent?: string[] };
  test("names sources from the project's folder, and the library's as its own; nothing of the machine", () => {
    const { sources } = mapOf(release);
    expect(sources).toEqual(expect.arrayContaining(["assembly/index.ts", "assembly/parts/fail.ts", "~sdk/burst.ts"]));
    expect(sources.filter((name) => name.startsWith("/") || name.includes(".."))).toEqual([]);
    expect(Buffer.from(release.wasm).includes(folder)).toBe(false);
    expect(Buffer.from(debug.wasm).includes(folder)).toBe(false);
  });
  test("has the texts in a debug build only", () => {
    const { sources, sourcesContent } = mapOf(debug);
    expect(sourcesContent?.[sources.indexOf("assembly/parts/fail.ts")]).toBe(part);
    expect(mapOf(release).sourcesContent).toBeUndefined();
  });
  test(
    "is found by debuggers where a debug build says",
    async () => {
      const linked = async (sourceMapUrl?: string) => {
        const { wasm } = await buildPlugin({
          entry,
          debug: true,
          ...(sourceMapUrl === undefined ? {} : { sourceMapUrl }),
        });
        const [section] = WebAssembly.Module.customSections(
          new WebAssembly.Module(wasm as Uint8Array<ArrayBuffer>),
          "sourceMappingURL",
        );
        return Buffer.from(section ?? new ArrayBuffer(0))
          .subarray(1)
          .toString();
      };
      expect([await linked(), await linked("here.map")]).toEqual(["mapped.wasm.map", "here.map"]);
      expect(describeModule(release.wasm).sections.map(({ name }) => name)).not.toContain("sourceMappingURL");
    },
    LIMIT,
  );
  test(
    "is the same, and so is the module, wherever the project is",
    async () => {
      const other = await buildPlugin({ entry: await project(join(folder, "deeper/and/deeper")) });
      expect(other.digest).toBe(release.digest);
    },
    LIMIT,
  );
});

describe("a byte that is no code of a known source", () => {
  test.each([
    ["the header", 4],
    ["behind the end", 1 << 30],
    ["before the start", -1],
  ])("%s", (_name, offset) => {
    expect(sourceOf(release.wasm, offset)).toBeNull();
  });
  test("of a module without a map", () => {
    const wasm = makeModule();
    for (let offset = 0; offset < wasm.length; offset++) expect(sourceOf(wasm, offset)).toBeNull();
  });
});

test("places know their functions, though the optimiser put them into one", () => {
  const places = Array.from(release.wasm, (_, offset) => sourceOf(release.wasm, offset));
  const functions = new Map(
    places.flatMap((place) => (place ? [[`${place.file} ${place.function}`, place.line]] : [])),
  );
  for (const expected of ["assembly/index.ts process", "assembly/parts/fail.ts fail", "~sdk/burst.ts Batch#at"])
    expect([...functions.keys()]).toContain(expected);
});

test("a module's description says what takes the room", () => {
  const about = describeModule(debug.wasm);
  expect(about).toMatchObject({
    ...{ digest: debug.digest, size: debug.wasm.length, imports: [] },
    exports: expect.arrayContaining([
      { name: "process", kind: "function" },
      { name: "memory", kind: "memory" },
    ]),
    manifest: { name: "mapped" },
  });
  expect(about.sections.filter(({ isCustom }) => isCustom).map(({ name }) => name)).toEqual([
    ...["name", "sourceMappingURL", "sluice.sourcemap", "sluice.manifest"],
  ]);
  const total = about.sections.reduce((sum, { bytes }) => sum + bytes, 0);
  expect(total).toBeLessThan(about.size);
  expect(total).toBeGreaterThan(about.size - 200);
  expect(about.largestFunctions.length).toBe(Math.min(10, about.functionCount));
  expect(about.largestFunctions.map(({ name }) => name)).toContain("sluice-main/process");
});
