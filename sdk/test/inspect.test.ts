import { inspectModule, ModuleError, readManifest } from "@sluice/sdk/build";
import { describe, expect, test } from "vitest";
import { type Made, makeModule, manifest, TYPE } from "./modules.js";

const MEMORY = 2;
const errorOf = (wasm: Uint8Array): ModuleError => {
  try {
    inspectModule(wasm);
  } catch (error) {
    if (error instanceof ModuleError) return error;
    throw error;
  }
  throw new Error("the module was accepted");
};

test("a stage is what its manifest and exports say", () => {
  expect(inspectModule(makeModule())).toEqual({ manifest, hasInit: false, hasConfigure: false, hasMigrate: false });
  expect(readManifest(makeModule())).toEqual(manifest);
  expect(WebAssembly.validate(makeModule() as Uint8Array<ArrayBuffer>)).toBe(true);
});

test("it may import abort and the host's functions", () => {
  const wasm = makeModule({
    imports: [
      ["env", "abort", 0, [TYPE.abort]],
      ["sluice", "read_payload", 0, [TYPE.readPayload]],
      ["sluice", "emit", 0, [TYPE.emit]],
      ["sluice", "mirror", 0, [TYPE.mirror]],
      ["sluice", "trace", 0, [TYPE.trace]],
    ],
  });
  expect(inspectModule(wasm).manifest.name).toBe("made");
  expect(WebAssembly.validate(wasm as Uint8Array<ArrayBuffer>)).toBe(true);
});

const exports = (...more: [string, number, number][]): NonNullable<Made["exports"]> => [
  ["process", 0, 0],
  ["sluice_abi_version", 0, 1],
  ["memory", MEMORY, 0],
  ...more,
];
const rows: [string, Made, string, string][] = [
  [
    "another import",
    { imports: [["env", "seed", 0, [TYPE.number]]] },
    "imports",
    "The module imports the function env.seed",
  ],
  [
    "an imported memory",
    { imports: [["env", "memory", 2, [0, 1]]] },
    "imports",
    "The module imports the memory env.memory",
  ],
  [
    "abort of another type",
    { imports: [["env", "abort", 0, [TYPE.nothing]]] },
    "imports",
    "env.abort has another type than the ABI's",
  ],
  [
    "a function that the host does not have",
    { imports: [["sluice", "write_payload", 0, [TYPE.readPayload]]] },
    "imports",
    "The module imports the function sluice.write_payload",
  ],
  [
    "a function of the host's with 32 instead of 64 bits",
    { imports: [["sluice", "trace", 0, [TYPE.process]]] },
    "imports",
    "sluice.trace has another type than the ABI's",
  ],
  [
    "two metrics of one name",
    { manifest: { ...manifest, counters: ["seen"], gauges: ["seen"] } },
    "manifest",
    'The manifest\'s counters is ["seen"]',
  ],
  [
    "a histogram whose bounds do not ascend",
    { manifest: { ...manifest, histograms: [{ name: "sizes", bounds: [64, 64] }] } },
    "manifest",
    'The manifest\'s histograms is [{"name":"sizes","bounds":[64,64]}]',
  ],
  [
    "a histogram without bounds",
    { manifest: { ...manifest, histograms: [{ name: "sizes" }] } },
    "manifest",
    'The manifest\'s histograms is [{"name":"sizes"}]',
  ],
  [
    "a trace value's name twice",
    { manifest: { ...manifest, traceValues: ["rule", "rule"] } },
    "manifest",
    'The manifest\'s traceValues is ["rule","rule"]',
  ],
  [
    "no process",
    {
      exports: [
        ["sluice_abi_version", 0, 1],
        ["memory", MEMORY, 0],
      ],
    },
    "exports",
    "The module does not export the function 'process'",
  ],
  [
    "process of another type",
    { functions: [TYPE.nothing, TYPE.number] },
    "exports",
    "The export 'process' is () -> ()",
  ],
  [
    "process that is a memory",
    {
      exports: [
        ["process", MEMORY, 0],
        ["sluice_abi_version", 0, 1],
        ["memory", MEMORY, 0],
      ],
    },
    "exports",
    "The export 'process' is a memory",
  ],
  [
    "no ABI version",
    {
      exports: [
        ["process", 0, 0],
        ["memory", MEMORY, 0],
      ],
    },
    "exports",
    "The module does not export the function 'sluice_abi_version'",
  ],
  [
    "configure of another type",
    { exports: exports(["configure", 0, 0]) },
    "exports",
    "The export 'configure' is (i32, i32) -> ()",
  ],
  [
    "a memory that is not exported",
    {
      exports: [
        ["process", 0, 0],
        ["sluice_abi_version", 0, 1],
      ],
    },
    "exports",
    "The module does not export its memory as 'memory'",
  ],
  ["a memory that may grow", { memories: [[0, 128, 26]] }, "memory", "The module's memory has 3328 to unlimited pages"],
  ["a small memory", { memories: [[1, 1, 1]] }, "memory", "The module's memory has 1 to 1 pages"],
  [
    "a shared memory",
    { memories: [[3, 128, 26, 128, 26]] },
    "memory",
    "The module's memory has 3328 to 3328 pages, shared",
  ],
  [
    "two memories",
    {
      memories: [
        [1, 1, 1],
        [1, 1, 1],
      ],
    },
    "memory",
    "The module defines 2 memories",
  ],
  ["data in the window", { data: 0x01000000 }, "data", "Data segment 0 lies at 0x1000000 to 0x1000001"],
  ["data at the end of the address space", { data: -1 }, "data", "Data segment 0 lies at 0xffffffff to 0x100000000"],
  [
    "data across the end of its own region",
    { data: 0x00800000 },
    "data",
    "Data segment 0 lies at 0x800000 to 0x800001",
  ],
  ["passive data", { data: [1, 1, 0xff] }, "data", "Data segment 0 is passive"],
  [
    "data at a global's address",
    { data: [0, 0x23, 0, 0x0b, 1, 0xff] },
    "data",
    "Data segment 0 has no constant address",
  ],
  ["a start function", { start: true }, "start", "The module has a start function"],
  ["no manifest", { manifest: null }, "manifest", "The module has no custom section 'sluice.manifest'"],
  ["a manifest that is not JSON", { manifest: "{" }, "manifest", "The manifest is not JSON"],
  [
    "a manifest that is no object",
    { manifest: "null" },
    "abi-version",
    "The module is for ABI undefined, this is ABI 1",
  ],
  ["another ABI", { manifest: { abi: 2 } }, "abi-version", "The module is for ABI 2, this is ABI 1"],
  [
    "a segment without configure",
    { manifest: { segmentBytes: 65536 } },
    "exports",
    "The manifest says segmentBytes, but there is no export 'configure'",
  ],
  [
    "migrations without migrate",
    { manifest: { flowState: { size: 4, schema: 2 }, migratesFrom: [1] } },
    "exports",
    "The manifest says migratesFrom, but there is no export 'migrate'",
  ],
];
describe("refused", () => {
  test.each(rows)("%s", (_name, made, code, message) => {
    const error = errorOf(makeModule(made));
    expect({ code: error.code, message: error.message }).toEqual({ code, message: expect.stringContaining(message) });
    expect(error.remedy).not.toBe("");
  });

  test.each([
    ["name", "Not a name"],
    ["version", "1"],
    ["hooks", []],
    ["hooks", ["forward", "forward"]],
    ["hooks", ["ingress"]],
    ["headerBytes", 321],
    ["writes", "yes"],
    ["flowState", { size: 65, schema: 1 }],
    ["flowState", { size: 8, schema: 256 }],
    ["migratesFrom", [1, 1]],
    ["counters", ["Packets"]],
    ["counters", ["a", "a"]],
    ["dropReasons", ["not_allowed"]],
    ["segmentBytes", 1000],
    ["segmentBytes", 0x08000000],
    ["failure", "Ignore"],
  ])("a manifest whose %s is %j", (field, value) => {
    const error = errorOf(makeModule({ manifest: { [field]: value } }));
    expect(error.message).toContain(`The manifest's ${field} is ${JSON.stringify(value)}. It must `);
  });

  test("what is not WebAssembly, or ends anywhere", () => {
    const whole = makeModule();
    expect(errorOf(new Uint8Array()).code).toBe("not-wasm");
    expect(errorOf(Uint8Array.from(Buffer.from("#!/bin/sh"))).code).toBe("not-wasm");
    for (let length = 9; length < whole.length; length += 7) {
      expect(["not-wasm", "manifest"]).toContain(errorOf(whole.slice(0, length)).code);
    }
  });
});
