import type { ByteSource } from "./byte-source.js";
import { CUT_REMEDY, linkTypeOf, MAX_CAPTURED, PcapError, type PcapPacket } from "./pcap-format.js";

/** By the first four bytes, big-endian. */
const forms = new Map<number, { isLittle: boolean; unit: bigint }>([
  [0xa1b2c3d4, { isLittle: false, unit: 1000n }],
  [0xd4c3b2a1, { isLittle: true, unit: 1000n }],
  [0xa1b23c4d, { isLittle: false, unit: 1n }],
  [0x4d3cb2a1, { isLittle: true, unit: 1n }],
]);

export function* readClassic(source: ByteSource): Generator<PcapPacket, void, undefined> {
  const { file } = source;
  const header = source.take(24);
  const magic = header.length >= 4 ? header.readUInt32BE(0) : 0;
  const form = forms.get(magic);
  if (!form) throw notCapture(file, header);
  if (header.length < 24) throw new PcapError(file, `the file header has ${header.length} of 24 bytes`, CUT_REMEDY, 0);
  const u32 = (bytes: Buffer, at: number) => (form.isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  // The upper bits say whether frames end with a checksum; what lies behind an IP packet is ignored anyway.
  const linkType = linkTypeOf(file, u32(header, 20) & 0xffff, 20);
  for (let packet = 1; ; packet++) {
    const { offset } = source;
    const record = source.take(16);
    if (record.length === 0) return;
    if (record.length < 16)
      throw new PcapError(file, `the packet's header has ${record.length} of 16 bytes`, CUT_REMEDY, offset, packet);
    const captured = u32(record, 8);
    const bytes = takePacket(source, captured, offset, packet);
    const at = BigInt(u32(record, 0)) * 1_000_000_000n + BigInt(u32(record, 4)) * form.unit;
    yield { bytes, linkType, at, length: u32(record, 12) };
  }
}

/** A packet's bytes. `offset`: where its header stands. */
function takePacket(source: ByteSource, captured: number, offset: number, packet: number): Buffer {
  if (captured > MAX_CAPTURED) {
    const problem = `the packet is said to have ${captured} bytes, which no capture has`;
    throw new PcapError(
      source.file,
      problem,
      "The file is damaged from here on: copy or capture it again",
      offset,
      packet,
    );
  }
  const bytes = source.take(captured);
  if (bytes.length < captured)
    throw new PcapError(source.file, `the packet has ${bytes.length} of ${captured} bytes`, CUT_REMEDY, offset, packet);
  return bytes;
}

function notCapture(file: string, header: Buffer): PcapError {
  if (header.subarray(0, 2).toString("hex") === "1f8b")
    return new PcapError(file, "the file is compressed", `Unpack it first: gunzip ${file}`);
  const start = header.toString("hex", 0, 4);
  return new PcapError(file, `this is no capture file: it begins with ${start}`, "Give a .pcap or .pcapng file", 0);
}
