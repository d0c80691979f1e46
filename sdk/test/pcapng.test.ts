import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ipv4, packet, udp } from "../src/testing/packets.js";
import { type CapturedFrame, interfaceBlock, LINK_RAW, packetBlock, sectionBlock } from "../src/testing/pcapng.js";

const folder = mkdtempSync(join(tmpdir(), "pcapng-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bytes = packet(
  ipv4({ source: "10.0.0.1", destination: "10.0.0.2" }),
  udp({ sourcePort: 1, destinationPort: 2 }),
  "text",
);

/** What tcpdump reads of one packet: its lines without a name look-up, with the Unix time. */
function tcpdump(frame: Partial<CapturedFrame>): string {
  const file = join(folder, "file.pcapng");
  const face = interfaceBlock({ name: "rx pod-1", linkType: LINK_RAW, snapLength: 0 });
  const written = packetBlock({ interface: 0, at: 0n, bytes, ...frame });
  writeFileSync(file, Buffer.concat([sectionBlock("sluice test"), face, written]));
  return execFileSync("tcpdump", ["-n", "-tt", "--nano", "-r", file], { encoding: "utf8", stdio: "pipe" }).trim();
}

/** A frame's fields, what is read of it. */
const ROWS: [string, Partial<CapturedFrame>, string][] = [
  ["its bytes", {}, "0.000000000 IP 10.0.0.1.1 > 10.0.0.2.2: UDP, length 4"],
  [
    "its time to the nanosecond",
    { at: 1_700_000_000_123_456_789n },
    "1700000000.123456789 IP 10.0.0.1.1 > 10.0.0.2.2: UDP, length 4",
  ],
  [
    "that it was cut",
    { bytes: bytes.subarray(0, 24), length: bytes.length },
    "0.000000000 IP 10.0.0.1.1 > 10.0.0.2.2:  [|udp]",
  ],
  [
    "the packet alone where it has a comment",
    { comment: "dropped: ünknown" },
    "0.000000000 IP 10.0.0.1.1 > 10.0.0.2.2: UDP, length 4",
  ],
];

describe("a packet in a pcapng file shows", () => {
  test.each(ROWS)("%s", (_name, frame, line) => expect(tcpdump(frame)).toBe(line));
});

test("a comment stands behind the padded bytes, in UTF-8, and the options have an end", () => {
  const block = packetBlock({ interface: 3, at: 1n, bytes: Uint8Array.of(1, 2, 3, 4, 5), comment: "é" });
  expect(block.toString("hex")).toBe(
    [
      ...["06000000", "34000000", "03000000", "00000000", "01000000", "05000000", "05000000"],
      ...["0102030405000000", "01000200", "c3a90000", "00000000", "34000000"],
    ].join(""),
  );
});
