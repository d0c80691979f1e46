import { readFileSync } from "node:fs";
import { ipv4, packet, readPcap, udp, writePcap } from "@sluice/sdk/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { plugin, source, testFolder } from "./support.js";

const { path, write } = testFolder();

const body = `const packets = new Counter("packets");
@hook("forward") export function guard(batch: Batch): void {
  for (let i = 0; i < batch.length; i++) {
    const port = batch.at(i).destinationPort;
    packets.add();
    if (port == 9) unreachable();
    if (port == 53) batch.at(i).drop(DropReason.Policy);
  }
}
@hook("input") export function refuse(batch: Batch): void {
  for (let i = 0; i < batch.length; i++) batch.at(i).drop(DropReason.NoRoute);
}`;
const to = (destinationPort: number) =>
  packet(ipv4({ source: "10.0.0.1", destination: "192.0.2.1" }), udp({ sourcePort: 4000, destinationPort }), "text");

let entry: string;
beforeAll(async () => {
  entry = await write("guard.ts", source(body).replace("Batch,", "Batch, Counter, DropReason,"));
  writePcap(path("in.pcap"), [to(80), to(53), to(443)]);
  writePcap(path("trap.pcap"), [to(80), to(9), to(80)]);
  const whole = readFileSync(path("in.pcap"));
  await write("cut.pcap", whole.subarray(0, whole.length - 10));
  await write("text.pcap", "not a capture");
  await write("config.json", "{}");
});
const run = (...args: string[]) => plugin("run", entry, ...args.map((arg) => arg.replace("@", path("/"))));

describe("run", () => {
  test("says what became of the packets and writes those that leave", async () => {
    const { code, out, err } = await run("--pcap", "@in.pcap", "--out", "@out.pcap", "--hook", "forward");
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^verdicts +pass 2, drop 1$/m);
    expect(out).toMatch(/^written +2 to /m);
    expect(out).toMatch(/^dropped for +policy +1$/m);
    expect(out).toMatch(/^counter +packets +3$/m);
    expect(readPcap(path("out.pcap")).map(({ bytes }) => Buffer.from(bytes))).toEqual(
      [to(80), to(443)].map((each) => Buffer.from(each)),
    );
  });

  test("goes through the hook that is named", async () => {
    const { out } = await run("--pcap", "@in.pcap", "--hook", "input", "-o", "json");
    expect(JSON.parse(out)).toMatchObject({ packets: 3, verdicts: { drop: 3 }, reasons: { "no-route": 3 } });
  });

  test("ends at the packet that the stage fails on, after what it has done until then", async () => {
    const { code, out, err } = await run("--pcap", "@trap.pcap", "--out", "@before.pcap", "--hook", "forward");
    expect(code).toBe(1);
    expect(out).toMatch(/^written +1 to /m);
    expect(err).toMatch(/^error: .*trap\.pcap, packet 2: the stage failed: .* \[trap\]$/);
    expect(readPcap(path("before.pcap"))).toHaveLength(1);
  });

  test.each([
    [[], 2, "error: required option '--pcap <file>' not specified"],
    [
      ["--pcap", "@absent.pcap"],
      1,
      "error: @absent.pcap: cannot be read: no such file or directory. Give a file that exists [pcap]",
    ],
    [["--pcap", "@text.pcap"], 1, "error: @text.pcap, byte 0: "],
    [["--pcap", "@cut.pcap"], 1, "error: @cut.pcap, packet 3, byte "],
    [
      ["--pcap", "@in.pcap", "--out", "@in.pcap"],
      1,
      "error: @in.pcap: the file to write is the one to read. Name another file for what leaves [pcap]",
    ],
    [["--pcap", "@in.pcap", "--hook", "egress"], 2, "error: option '--hook <hooks...>' argument 'egress' is invalid."],
    [
      ["--pcap", "@in.pcap", "--config", "@config.json"],
      1,
      "error: the stage takes no configuration: it has no configure.",
    ],
  ])("%s is refused in one line", async (args, code, start) => {
    const output = await run(...args);
    expect({ code: output.code, out: output.out }).toEqual({ code, out: "" });
    const expected = start.replace("@", path("/"));
    expect(output.err.slice(0, expected.length)).toBe(expected);
    if (code === 1) expect(output.err.split("\n")).toHaveLength(1);
  });
});

test("bench measures with a capture's packets, and says when there are none", async () => {
  writePcap(path("empty.pcap"), []);
  const args = ["--only", "node", "-o", "json"];
  expect((await plugin("bench", entry, "--pcap", path("in.pcap"), ...args)).code).toBe(0);
  const { code, err } = await plugin("bench", entry, "--pcap", path("empty.pcap"), "--only", "node");
  expect(code).toBe(1);
  expect(err).toContain("empty.pcap: has no packet to measure with.");
});
