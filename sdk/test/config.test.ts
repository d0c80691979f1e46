// The configuration as a stage's configure reads it. The fixture ends with an error that says what it read.

import type { NodeStage } from "@sluice/sdk/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { stageOf } from "./support.js";

let stage: NodeStage;
beforeAll(async () => {
  stage = await stageOf("config");
}, 120_000);

function errorOf(text: string): string {
  try {
    stage.build(text);
  } catch (error) {
    return (error as Error).message;
  }
  return "accepted";
}
const read = (type: string, value: string): string => errorOf(`{ "type": "${type}", "nested": { "value": ${value} } }`);

describe("values", () => {
  test.each([
    ["text", '"plain"', "plain"],
    ["text", '""', ""],
    ["text", '"tab\\t quote\\" slash\\/ back\\\\ \\u00e9 \\ud83d\\ude00"', 'tab\t quote" slash/ back\\ é 😀'],
    ["text", '"ünï😀"', "ünï😀"],
    ["boolean", "true", "true"],
    ["boolean", "false", "false"],
    ["integer", "-1000", "-1000"],
    ["integer", "0", "0"],
    ["unsigned", "4294967295", "4294967295"],
    ["number", "-1.5e2", "-150.0"],
    ["address4", '"10.0.0.255"', "a0000ff"],
    ["address6", '"2001:db8::1"', "20010db800000000 1"],
    ["address6", '"::"', "0 0"],
    ["address6", '"1:2:3:4:5:6:7:8"', "1000200030004 5000600070008"],
    ["address6", '"fe80::"', "fe80000000000000 0"],
    ["address6", '"::ffff:10.0.0.1"', "0 ffff0a000001"],
    ["prefix", '"10.0.0.0/8"', "a000000/8"],
    ["prefix", '"10.0.0.1"', "a000001/32"],
    ["prefix", '"fd00::/64"', "fd00000000000000 0/64"],
    ["prefix", '"fd00::1"', "fd00000000000000 1/128"],
    ["ports", "443", "443 443"],
    ["ports", '"8000-8099"', "8000 8099"],
    ["keys", '{"a":1,"b c":[1,{"x":2}],"d\\"e":"}"}', '<a><b c><d"e>'],
    ["keys", "{}", ""],
    ["length", '[1, "two", [3], {"four": 4}]', "4"],
    ["length", "[]", "0"],
    ["length", '["a", "b:c", "d"]', "3"],
  ])("%s %s", (type, text, shown) => {
    expect(read(type, text)).toBe(`nested.value reads as ${shown}`);
  });
});

describe("values that are refused, by path", () => {
  const address6 = 'nested.value must be an IPv6 address such as "fd00::1"';
  const address4 = 'nested.value must be an IPv4 address such as "10.0.0.1"';
  const prefix = 'nested.value must be an address or prefix such as "10.0.0.0/8" or "fd00::/64"';
  test.each([
    ["text", "1", "nested.value must be a string"],
    ["boolean", '"true"', "nested.value must be true or false"],
    ["integer", "1001", "nested.value must be a whole number from -1000 to 1000"],
    ["integer", "1.5", "nested.value must be a whole number from -1000 to 1000"],
    ["integer", "1e2", "nested.value must be a whole number from -1000 to 1000"],
    ["unsigned", "4294967296", "nested.value must be a whole number from 0 to 4294967295"],
    ["unsigned", "99999999999999999999", "nested.value must be a whole number from 0 to 4294967295"],
    ["unsigned", "-1", "nested.value must be a whole number from 0 to 4294967295"],
    ["number", '"1"', "nested.value must be a number"],
    ...["10.0.0", "10.0.0.256", "10.0.0.1.2", "10.0.0.01", "a.b.c.d", "", "10.0.0.1 "].map((text) => [
      "address4",
      `"${text}"`,
      address4,
    ]),
    ...[
      "fd00:::1",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "12345::",
      "::1::",
      "fd00::g",
      "",
      ":",
      ":1",
      "1:",
      "::1.2.3",
    ].map((text) => ["address6", `"${text}"`, address6]),
    ...["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/a", "fd00::/129", "/8", "10.0.0.0/8/8", "10.0.0.0/0008"].map((text) => [
      "prefix",
      `"${text}"`,
      prefix,
    ]),
    ["ports", '"80-"', 'nested.value must be a port from 1 to 65535 or a range such as "8000-8099"'],
    ["length", '"text"', "nested.value must be an array or an object"],
  ] as [string, string, string][])("%s %s", (type, text, error) => {
    expect(read(type, text)).toBe(error);
  });

  test.each([
    ['{ "type": "text" }', "the configuration 'nested' is missing"],
    ['{ "type": "text", "nested": {} }', "nested 'value' is missing"],
    ['{ "type": "text", "nested": [] }', "nested must be an object"],
    ["[]", "the configuration must be an object"],
  ])("%s", (text, error) => {
    expect(errorOf(text)).toBe(error);
  });
});

describe("text that is no JSON, by line and column", () => {
  test.each([
    ["", 1, 1],
    ["{", 1, 2],
    ['{"a":1,}', 1, 8],
    ['{"a" 1}', 1, 6],
    ["[1 2]", 1, 4],
    ['{\n  "a": tru\n}', 2, 8],
    ['{"a":01}', 1, 7],
    ['{"a":1.}', 1, 8],
    ['{"a":1e+}', 1, 9],
    ['{"a":-}', 1, 7],
    ['{"a":"\\x"}', 1, 8],
    ['{"a":"\\u12g4"}', 1, 11],
    ['{"a":"un\nclosed"}', 1, 9],
    ['{"a":"never closed', 1, 19],
    ["{} {}", 1, 4],
    [`${"[".repeat(66)}${"]".repeat(66)}`, 1, 66],
  ])("%j", (text, line, column) => {
    expect(errorOf(text)).toBe(`the configuration is not valid JSON at line ${line}, column ${column}`);
  });
});

test("an error of any length is cut to what the host reads", () => {
  const message = read("text", `"${"é".repeat(2000)}"`);
  expect(Buffer.byteLength(message)).toBeLessThanOrEqual(512);
  expect(message).toMatch(/^nested\.value reads as é+$/);
});
