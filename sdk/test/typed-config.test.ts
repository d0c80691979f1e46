// Configurations as classes: the schema and the reader that the build derives from test/assembly/typed.ts, and what it refuses.

import { BuildError, buildPlugin, type Diagnostic } from "@sluice/sdk/build";
import { ipv4, NodeStage, packetHex, udp } from "@sluice/sdk/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { stageOf } from "./support.js";

const LIMIT = 120_000;
let stage: NodeStage;
beforeAll(async () => {
  stage = await stageOf("typed");
}, LIMIT);

const text = { type: "string" };
const prefix = {
  ...{ type: "string", pattern: "^[0-9a-fA-F:.]+(/[0-9]{1,3})?$" },
  description: "an address or prefix such as 10.0.0.0/8 or fd00::/64",
};

test("the schema says types, ranges, defaults, what is required and the docstrings", () => {
  expect(stage.manifest.configSchema).toEqual({
    ...{ type: "object", description: "Everything that a configuration can say.", additionalProperties: false },
    required: ["rates"],
    properties: {
      rates: {
        ...{ type: "object", description: "How fast.", additionalProperties: false, required: ["isStrict"] },
        properties: {
          rate: { type: "integer", minimum: 1, maximum: 10_000_000, description: "Packets a second.", default: 1000 },
          gateway: { type: "string", format: "ipv4", default: "10.0.0.1" },
          isStrict: { type: "boolean" },
        },
      },
      mode: { enum: ["on", "off", "self"], default: "self" },
      rules: {
        type: "array",
        items: {
          ...{ type: "object", additionalProperties: false, required: ["sources"] },
          properties: {
            action: { enum: ["allow", "deny", "drop-all"], default: "allow" },
            protocol: { enum: ["tcp", "udp"], default: "tcp" },
            ports: {
              type: "array",
              items: {
                anyOf: [
                  { type: "integer", minimum: 1, maximum: 65535 },
                  { type: "string", pattern: "^[0-9]+-[0-9]+$" },
                ],
                description: 'a port or a range such as 443 or "8000-8099"',
              },
              ...{ maxItems: 2, default: [] },
            },
            sources: { type: "array", items: prefix, minItems: 1 },
            priority: { type: "integer", minimum: -100, maximum: 32767, default: -1 },
            counter: { type: "integer", minimum: 0, maximum: 7 },
            peer: { type: "string", anyOf: [{ format: "ipv4" }, { format: "ipv6" }] },
          },
        },
        default: [],
      },
      grid: {
        type: "array",
        items: { type: "array", items: { type: "integer", minimum: 0, maximum: 255 } },
        default: [[1, 2], []],
      },
      factor: { type: "number", minimum: 0.5, maximum: 1.5, default: 1 },
      big: { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER, default: 0 },
      note: text,
      router: { type: "string", format: "ipv6" },
      free: { type: ["object", "array"], description: "Read by hand" },
    },
  });
});

const rates = { isStrict: true };
const errorOf = (config: unknown): string => {
  try {
    stage.build(typeof config === "string" ? config : JSON.stringify(config));
  } catch (error) {
    return (error as Error).message;
  }
  return "accepted";
};

describe("what is read", () => {
  test.each([
    [{}, "mode 6, factor 1.0, big 0, row 1,2, row "],
    [
      { mode: "off", factor: 1.25, big: 9007199254740991, grid: [[255]] },
      "mode 5, factor 1.25, big 9007199254740991, row 255",
    ],
    [
      { grid: [], router: "fd00::1", free: { a: 1, b: 2 } },
      "mode 6, factor 1.0, big 0, router fd00000000000000, free 2",
    ],
    [
      {
        grid: [],
        rules: [
          { sources: ["::/0"] },
          {
            sources: ["::/0"],
            action: "deny",
            protocol: "udp",
            ports: [53, "8000-8099"],
            priority: 3,
            counter: 0,
            peer: "::1",
          },
        ],
      },
      "mode 6, factor 1.0, big 0, rule 0 tcp -1, rule 5 udp 3 counter 0 peer 6 53-53 8000-8099",
    ],
  ])("%j", (config, read) => {
    expect(errorOf({ rates, note: "", ...config })).toBe(`the configuration reads as ${read}`);
  });

  test("the last of a name that is there twice", () => {
    expect(errorOf('{"rates":{"isStrict":true},"grid":[],"big":1,"b\\u0069g":2,"note":"x"}')).toContain("big 2");
  });
});

describe("what is refused, by path", () => {
  const rule = (changes: object) => ({
    rates,
    rules: [{ sources: ["::/0"] }, { sources: ["10.0.0.0/8"], ...changes }],
  });
  test.each([
    [{}, "rates is missing"],
    [[], "the configuration must be an object"],
    [{ rates: { rate: 1 } }, "rates.isStrict is missing"],
    [{ rates: { isStrict: 1 } }, "rates.isStrict must be true or false"],
    [{ rates: { ...rates, rate: 0 } }, "rates.rate must be a whole number from 1 to 10000000"],
    [{ rates: { ...rates, gateway: "fd00::1" } }, 'rates.gateway must be an IPv4 address such as "10.0.0.1"'],
    [{ rates, mode: "never" }, 'mode must be "on", "off" or "self"'],
    [{ rates, factor: 0.25 }, "factor must be at least 0.5 and at most 1.5"],
    [{ rates, factor: 2 }, "factor must be at least 0.5 and at most 1.5"],
    [{ rates, big: -1 }, "big must be a whole number from 0 to 9007199254740991"],
    [{ rates, grid: [[1], [2, 256]] }, "grid[1][1] must be a whole number from 0 to 255"],
    [{ rates, grid: {} }, "grid must be a list"],
    [{ rates, router: "10.0.0.1" }, 'router must be an IPv6 address such as "fd00::1"'],
    [rule({ action: "drop" }), 'rules[1].action must be "allow", "deny" or "drop-all"'],
    [rule({ protocol: "icmp" }), 'rules[1].protocol must be "tcp" or "udp"'],
    [rule({ ports: [0] }), "rules[1].ports[0] must be a whole number from 1 to 65535"],
    [rule({ ports: [1, 2, 3] }), "rules[1].ports must have at most 2 items, not 3"],
    [rule({ sources: [] }), "rules[1].sources must have at least 1 item"],
    [
      rule({ sources: ["10.0.0.0/33"] }),
      'rules[1].sources[0] must be an address or prefix such as "10.0.0.0/8" or "fd00::/64"',
    ],
    [
      rule({ prioritty: 1 }),
      "rules[1].prioritty is not known; known are action, protocol, ports, sources, priority, counter, peer",
    ],
    [rule({ counter: 8 }), "rules[1].counter must be a whole number from 0 to 7"],
    [rule({ peer: "10.0.0.0/8" }), "rules[1].peer must be one address, without a prefix length"],
    [rule({ action: "drop-all" }), "rules[1].ports must be there to drop"],
  ])("%j", (config, error) => {
    expect(errorOf(config)).toBe(error);
  });
});

describe("a configuration that is too large is refused by path, and does not trap", () => {
  const many = (count: number): string[] =>
    Array.from({ length: count }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
  const short = (count: number): string[] => Array.from({ length: count }, () => "::/0");
  const memory = "is too large: the plugin has 72 MiB of memory for what it reads; split it, or read it as Json";
  test("100,000 prefixes are read", () => {
    expect(errorOf({ rates, rules: [{ sources: many(100_000) }] })).toBe(
      "the configuration's tables need more than segmentBytes, 65536; definePlugin can raise it",
    );
  });
  test.each([
    ["one list", { rates, rules: [{ sources: short(2_000_000) }] }, /^rules\[0\]\.sources\[\d+\] /],
    [
      "many lists",
      { rates, rules: Array.from({ length: 400_000 }, () => ({ sources: ["::/0"] })) },
      /^rules\[\d{5,6}\]/,
    ],
    ["empty lists", { rates, grid: Array.from({ length: 4_000_000 }, () => []) }, /^grid/],
  ])("%s", (_name, config, path) => {
    const error = errorOf(config);
    expect(error).toMatch(path);
    expect(error).toContain(memory);
  });
  test("a text behind a list", () => {
    expect(errorOf({ rates, rules: [{ sources: short(1_000_000) }], note: "x".repeat(9_000_000) })).toContain(
      "the plugin's memory is full: it has 72 MiB for its objects in configure",
    );
  });
});

test("workers read the settings that a class of numbers was copied into", async () => {
  const packet = packetHex(
    ipv4({ source: "10.1.0.1", destination: "10.0.0.2" }),
    udp({ sourcePort: 1, destinationPort: 2 }),
  );
  const packets = [1, 2, 3, 4].map((mark) => ({ in: packet, mark, expect: { verdict: "pass" as const } }));
  const config = { rates: { rate: 77, gateway: "192.0.2.1", isStrict: true }, rules: [{ sources: ["10.1.0.0/16"] }] };
  const result = await stage.run({ name: "", hook: "forward", config, packets });
  expect(result.packets.map(({ mark }) => mark)).toEqual([77, 0xc0000201, 1, 1]);
});

test(
  "settings of the configuration itself need no function",
  async () => {
    const source = `import { Batch, Settings } from "@sluice/sdk";
@config class Limits { least: u32; most: u32 = 9; }
const limits = new Settings<Limits>();
@hook("forward") function process(batch: Batch): void { batch.at(0).mark = limits.value.least * 10 + limits.value.most; }
`;
    const { wasm, manifest } = await buildPlugin({ source, name: "few" });
    const packet = packetHex(
      ipv4({ source: "10.1.0.1", destination: "10.0.0.2" }),
      udp({ sourcePort: 1, destinationPort: 2 }),
    );
    const packets = [{ in: packet, expect: { verdict: "pass" as const } }];
    const result = await new NodeStage(wasm).run({ name: "", hook: "forward", config: { least: 4 }, packets });
    expect(result.packets[0]?.mark).toBe(49);
    const unconfigured = await new NodeStage(wasm).run({ name: "", hook: "forward", packets });
    expect(unconfigured.packets[0]?.mark).toBe(9);
    expect(manifest).toMatchObject({ segmentBytes: 1 << 20, configSchema: { required: ["least"] } });
  },
  LIMIT,
);

const head =
  'import { Batch, Json, Prefix, Settings } from "@sluice/sdk";\n@hook("forward") function f(batch: Batch): void {}\n';
const configured = "@configure function build(config: C): void {}\n";
const fields = (text: string): string => `${head}${configured}@config class C {\n${text}\n}`;
const rows: [string, string, Partial<Diagnostic>][] = [
  [
    "a map",
    fields("  a: Map<string, i32> = new Map();"),
    { line: 5, column: 6, message: expect.stringContaining("'Map<string, i32>'") },
  ],
  [
    "a size of the machine's",
    fields("  a: usize = 0;"),
    { line: 5, message: "A configuration's schema cannot express the type 'usize'" },
  ],
  ["a function", fields("  a: (n: i32) => i32;"), { line: 5 }],
  [
    "a class that is not marked",
    `${fields("  d: D;")}\nclass D { a: u32; }`,
    { line: 5, column: 6, remedy: "Put @config above it" },
  ],
  ["a class in itself", fields("  c: C;"), { line: 5, message: "The configuration class 'C' contains itself" }],
  ["a class in itself, by way of another", `${fields("  d: D[];")}\n@config class D { c: C; }`, { line: 7 }],
  [
    "a class that extends another",
    `${head}${configured}class D { a: u32; }\n@config class C extends D { b: u32 = 1; }`,
    { line: 5 },
  ],
  ["a class with type parameters", `${head}@config class C<T> { b: T; }`, { line: 3 }],
  ["a constructor with parameters", fields("  a: u32; constructor(a: u32) { this.a = a; }"), { line: 5 }],
  [
    "a default that is computed",
    fields("  a: u32 = 60 * 1000;"),
    { line: 5, column: 12, message: "The default '60 * 1000' is no literal" },
  ],
  [
    "a default out of range",
    fields("  a: u8 = 256;"),
    { line: 5, column: 11, message: "The default 256 is not allowed: it must be from 0 to 255" },
  ],
  ["a default of none of the choices", fields('  @oneOf("a", "b") a: string = "c";'), { line: 5 }],
  [
    "a default of another enum",
    `${fields("  a: E = F.A;")}\nenum E { B }\nenum F { A }`,
    { line: 5, remedy: "Write E.B, or another" },
  ],
  [
    "a default without what is required",
    `${fields("  d: D = new D();")}\n@config class D { a: u32; }`,
    { line: 5, message: expect.stringContaining("lacks what must be configured: a") },
  ],
  ["bounds that the type cannot hold", fields("  @maximum(300) a: u8 = 1;"), { line: 5, column: 3 }],
  ["bounds that leave nothing", fields("  @minimum(3) @maximum(2) a: u8 = 3;"), { line: 5, column: 15 }],
  [
    "bounds that are computed",
    fields("  @maximum(3 + 4) a: u8 = 1;"),
    { line: 5, message: "@maximum takes one number, written out" },
  ],
  [
    "bounds of a text",
    fields('  @maximum(3) a: string = "";'),
    { line: 5, message: "@maximum is for numbers, and 'a' is none" },
  ],
  [
    "a list's limits of a number",
    fields("  @maxItems(3) a: u8 = 1;"),
    { line: 5, message: "@maxItems is for lists, and 'a' is none" },
  ],
  ["choices of a number", fields('  @oneOf("a") a: u8 = 1;'), { line: 5 }],
  ["fewer choices than the enum has", `${fields('  @oneOf("a") a: E;')}\nenum E { A, B }`, { line: 5 }],
  ["Json without a schema", fields("  a: Json;"), { line: 5, remedy: expect.stringContaining("@schema(") }],
  ["null in a list", fields("  a: (string | null)[] = [];"), { line: 5 }],
  [
    "configure of an unmarked class",
    `${head}class D { a: u32; }\n@configure function build(config: D): void {}`,
    { line: 4, column: 35 },
  ],
  ["configure of a number", `${head}@configure function build(config: u32): void {}`, { line: 3 }],
  [
    "settings that hold a list",
    `${fields("  d: D;")}\n@config class D { a: u32 = 1; b: Prefix[] = []; }\nconst d = new Settings<D>();`,
    { line: 8, column: 11, message: "Settings<D> holds numbers, bool, enums and IPv4 addresses, and 'b' is none" },
  ],
  [
    "settings of two classes, and nothing that fills them",
    `${head}@config class C { a: u32; }\n@config class D { b: u32; }\nconst c = new Settings<C>();\nconst d = new Settings<D>();`,
    { line: 6 },
  ],
];
describe("a class that the schema cannot express is refused with one error", () => {
  test.each(rows)(
    "%s",
    async (_name, source, expected) => {
      const error: unknown = await buildPlugin({ source, name: "wrong" }).catch((caught: unknown) => caught);
      if (!(error instanceof BuildError)) throw error;
      const one = {
        severity: "error",
        code: "config",
        file: "plugin.ts",
        remedy: expect.stringMatching(/./),
        ...expected,
      };
      expect(error.diagnostics).toEqual([expect.objectContaining(one)]);
    },
    LIMIT,
  );
});
