import { fileURLToPath } from "node:url";
import { buildPlugin } from "@sluice/sdk/build";
import { ipv4, ipv6, type Layer, NodeStage, type PacketRow, packetHex, runRows, tcp } from "@sluice/sdk/testing";
import { describe, expect, test } from "vitest";

const load = async (version: "v1" | "v2") => {
  const built = await buildPlugin({ entry: fileURLToPath(new URL(`../assembly/${version}.ts`, import.meta.url)) });
  return { stage: new NodeStage(built.wasm), manifest: built.manifest };
};
const data = tcp({ sourcePort: 40000, destinationPort: 80 });
const header4 = (dscp: number): Layer => ipv4({ source: "10.1.0.1", destination: "10.2.0.2", dscp, ecn: 1 });
const header6 = (dscp: number): Layer => ipv6({ source: "fd00:1::1", destination: "fd00:2::2", dscp, ecn: 1 });
const marked = (
  header: (dscp: number) => Layer,
  dscp: number,
  flow: string,
  more: Partial<PacketRow> = {},
): PacketRow => ({
  in: packetHex(header(0), data),
  flow,
  ...more,
  expect: { verdict: "pass", out: packetHex(header(dscp), data) },
});
/** What version 1 left in a flow after five packets: their number, the version. */
const ofVersion1 = "0500000001000000";

describe("dscp-marker", () => {
  test.each([
    ["v1", 10],
    ["v2", 46],
  ] as const)(
    "%s marks DSCP %i and keeps ECN, in IPv4 and IPv6",
    async (version, dscp) => {
      const { stage } = await load(version);
      const packets = [marked(header4, dscp, "a"), marked(header6, dscp, "b"), marked(header4, dscp, "a", { at: 1 })];
      const counters = { marked_packets: 3, new_sessions: 2, kept_sessions: 0 };
      const [report] = await runRows(stage, [{ name: version, hook: "forward", packets, counters }]);
      expect(report?.failures).toEqual([]);
    },
    60_000,
  );

  test("version 2 goes on with the sessions of version 1", async () => {
    const { stage } = await load("v2");
    const first = marked(header4, 46, "a", { flowState: ofVersion1 });
    first.expect.flowState = "0600000002000000";
    const packets = [first, marked(header4, 46, "a", { at: 1 })];
    const counters = { new_sessions: 0, kept_sessions: 1 };
    const [report] = await runRows(stage, [{ name: "swapped", hook: "forward", packets, counters }]);
    expect(report?.failures).toEqual([]);
  }, 60_000);

  test("both versions are one plugin with one flow state", async () => {
    const [one, two] = [await load("v1"), await load("v2")];
    expect([one.manifest.name, two.manifest.name]).toEqual(["dscp-marker", "dscp-marker"]);
    expect(two.manifest.flowState).toEqual(one.manifest.flowState);
    expect([one.manifest.version, two.manifest.version]).toEqual(["1.0.0", "2.0.0"]);
  }, 60_000);
});
