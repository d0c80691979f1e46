import type { Manifest } from "@sluice/native";
import { describe, expect, test } from "vitest";
import { formatProblem } from "../src/errors.js";
import { checkPluginConfig } from "../src/plugins/config-schema.js";
import { manifest } from "./helpers.js";

const SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  required: ["rules"],
  additionalProperties: false,
  properties: {
    rules: {
      type: "array",
      maxItems: 2,
      items: {
        type: "object",
        additionalProperties: false,
        required: ["action"],
        properties: {
          action: { enum: ["allow", "deny"] },
          port: { type: "integer", minimum: 1, maximum: 65535, description: "a TCP or UDP port" },
          cidr: { type: "string", pattern: "/" },
        },
      },
    },
    peer: {
      oneOf: [{ type: "string" }, { type: "object", required: ["name"], properties: { name: { type: "string" } } }],
    },
  },
};

const policy = (change: Partial<Manifest> = {}) => manifest("policy", { configSchema: SCHEMA, ...change });

/** Description, configuration, what is wrong with it. */
const ROWS: [string, unknown, string[]][] = [
  ["all well", { rules: [{ action: "allow", port: 80 }] }, []],
  ["none", undefined, ["invalid-plugin-config /c/rules: missing; the plugin needs it"]],
  [
    "a mistyped key",
    { rules: [], peeer: "x" },
    ['invalid-plugin-config /c/peeer: unknown key "peeer" (did you mean "peer"?); allowed: rules, peer'],
  ],
  [
    "a mistyped choice",
    { rules: [{ action: "alow" }] },
    ['invalid-plugin-config /c/rules/0/action: found "alow" (did you mean "allow"?); allowed: one of allow, deny'],
  ],
  [
    "a number out of range",
    { rules: [{ action: "deny", port: 0 }] },
    ["invalid-plugin-config /c/rules/0/port: found 0; it must be >= 1 (a TCP or UDP port)"],
  ],
  ["a wrong type", { rules: "all" }, ['invalid-plugin-config /c/rules: found "all"; it must be array']],
  [
    "too many",
    { rules: [{ action: "deny" }, { action: "deny" }, { action: "deny" }] },
    [expect.stringContaining("it must NOT have more than 2 items")],
  ],
  [
    "inside a choice of forms",
    { rules: [], peer: { name: 5 } },
    ["invalid-plugin-config /c/peer/name: found 5; it must be string"],
  ],
  [
    "none of the forms",
    { rules: [], peer: 5 },
    ["invalid-plugin-config /c/peer: found 5; it must match exactly one schema in oneOf"],
  ],
  [
    "several mistakes",
    { rules: [{ port: 1 }, { action: "x" }] },
    [
      "invalid-plugin-config /c/rules/0/action: missing; the plugin needs it",
      'invalid-plugin-config /c/rules/1/action: found "x"; allowed: one of allow, deny',
    ],
  ],
];

describe("a plugin's configuration is checked against its manifest", () => {
  test.each(ROWS)("%s", (_, config, problems) => {
    expect(checkPluginConfig(policy(), config, "/c").map(formatProblem)).toEqual(problems);
  });
});

test("a plugin without configure takes no configuration", () => {
  const plain = policy({ segmentBytes: 0, configSchema: null });
  expect(checkPluginConfig(plain, undefined, "/c")).toEqual([]);
  expect(checkPluginConfig(plain, { a: 1 }, "/c").map(formatProblem)).toEqual([
    'invalid-plugin-config /c: found {"a":1}; allowed: nothing, as plugin policy takes no configuration',
  ]);
});

test("a manifest's schema that is none is told from a wrong configuration", () => {
  const broken = policy({ configSchema: { type: "objct" } });
  expect(() => checkPluginConfig(broken, {}, "/c")).toThrow(
    /^invalid-config-schema \/c: the plugin's configSchema is no JSON schema/,
  );
});
