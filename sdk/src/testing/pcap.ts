// Capture files: pcap (draft-ietf-opsawg-pcap) of either byte order and resolution, pcapng (draft-ietf-opsawg-pcapng). Files are
// read and written piece by piece: memory does not grow with them.

import { closeSync, openSync, writeSync } from "node:fs";
import { ByteSource } from "./byte-source.js";
import { readClassic } from "./pcap-classic.js";
import { type LinkType, PcapError, type PcapPacket } from "./pcap-format.js";
import { type CaptureInterface, interfaceBlock, LINK_ETHERNET, LINK_RAW, packetBlock, sectionBlock } from "./pcapng.js";
import { readPcapng } from "./pcapng-read.js";

/** What can be written: bytes alone are a packet from its IP header on, 1 ms after the one before. */
export type WritablePacket =
  | Uint8Array
  | (Pick<PcapPacket, "bytes"> & Partial<Omit<PcapPacket, "bytes">> & { /** Of pcapng. */ comment?: string });

/** All packets of a file. Throws PcapError. */
export function readPcap(file: string): PcapPacket[] {
  return [...packetsOf(file)];
}

/** A file's packets one after the other; the file is closed when the loop ends. Throws PcapError. */
export function* packetsOf(file: string): Generator<PcapPacket, void, undefined> {
  const source = opened(file, "read", () => new ByteSource(file));
  try {
    const magic = opened(file, "read", () => source.peek(4));
    if (magic.length === 0) throw new PcapError(file, "the file is empty", "Capture anew: tcpdump -w FILE");
    if (magic.length === 4 && magic.readUInt32BE(0) === 0x0a0d0d0a) yield* readPcapng(source);
    else yield* readClassic(source);
  } finally {
    source.close();
  }
}

/** What kind of file is written. */
/** What the file system refuses is said like all else that is wrong with a file. */
function opened<T>(file: string, what: "read" | "written", open: () => T): T {
  try {
    return open();
  } catch (error) {
    const reason = (error as Error).message.replace(/^\w+: /, "").replace(/, (open|read)\b.*$/, "");
    const remedy = what === "read" ? "Give a file that exists" : "Name a file in a folder that exists";
    throw new PcapError(file, `cannot be ${what}: ${reason}`, remedy);
  }
}

/** What kind of file is written. */
export interface PcapWriterOptions {
  /** Default: pcapng where the file's name ends so, else pcap with nanoseconds. */
  format?: "pcap" | "pcapng";
  /** Of packets that do not say theirs, and of a pcap file as a whole; default "raw". */
  linkType?: LinkType;
  /** Said in a pcapng file. */
  application?: string;
}

/** Writes a capture file, little-endian with times in nanoseconds. Throws PcapError. */
export function writePcap(file: string, packets: Iterable<WritablePacket>, options: PcapWriterOptions = {}): void {
  const writer = new PcapWriter(file, options);
  try {
    for (const packet of packets) writer.write(packet);
  } finally {
    writer.close();
  }
}

const CHUNK = 1 << 18;

/** A capture file that is written packet by packet. What is written is in the file after `close`. */
export class PcapWriter {
  private readonly descriptor: number;
  private readonly isNg: boolean;
  private readonly interfaces = new Map<string, number>();
  private linkType: LinkType | undefined;
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private last = -1_000_000n;

  constructor(
    private readonly file: string,
    private readonly options: PcapWriterOptions = {},
  ) {
    this.isNg = (options.format ?? (file.endsWith(".pcapng") ? "pcapng" : "pcap")) === "pcapng";
    this.descriptor = opened(file, "written", () => openSync(file, "w"));
    if (this.isNg) this.put(sectionBlock(options.application ?? "sluice-plugin"));
  }

  /** Adds a packet. */
  write(packet: WritablePacket): void {
    const given = packet instanceof Uint8Array ? { bytes: packet } : packet;
    const { bytes, length, comment, linkType = this.options.linkType ?? "raw", at = this.last + 1_000_000n } = given;
    this.last = at;
    const original = length ?? bytes.length;
    if (this.isNg) {
      const number = this.interfaceOf(given.interface ?? linkType, linkType);
      this.put(packetBlock({ interface: number, at, bytes, length: original, ...(comment ? { comment } : {}) }));
      return;
    }
    this.begin(linkType);
    this.put(classicRecord(at, bytes.length, original));
    this.put(bytes);
  }

  /** Writes what is left. Nothing can be written after it. */
  close(): void {
    try {
      if (!this.isNg) this.begin(this.linkType ?? this.options.linkType ?? "raw");
      this.flush();
    } finally {
      closeSync(this.descriptor);
    }
  }

  private begin(linkType: LinkType): void {
    if (this.linkType === linkType) return;
    if (this.linkType !== undefined) {
      const problem = `packets of link type ${this.linkType} and ${linkType} do not go into one pcap file`;
      throw new PcapError(this.file, problem, "Write a .pcapng file, which may hold both");
    }
    this.linkType = linkType;
    this.put(classicHeader(linkType));
  }

  private interfaceOf(name: string, linkType: LinkType): number {
    const key = `${linkType} ${name}`;
    const found = this.interfaces.get(key);
    if (found !== undefined) return found;
    const face: CaptureInterface = { name, linkType: linkNumber(linkType), snapLength: 0 };
    this.put(interfaceBlock(face));
    this.interfaces.set(key, this.interfaces.size);
    return this.interfaces.size - 1;
  }

  private put(bytes: Uint8Array): void {
    this.waiting.push(bytes);
    this.waitingBytes += bytes.length;
    if (this.waitingBytes >= CHUNK) this.flush();
  }
  private flush(): void {
    const bytes = Buffer.concat(this.waiting);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.descriptor, bytes, at);
    this.waiting = [];
    this.waitingBytes = 0;
  }
}

const linkNumber = (type: LinkType): number => (type === "ethernet" ? LINK_ETHERNET : LINK_RAW);
const SNAP_LENGTH = 262_144;

function classicHeader(linkType: LinkType): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b23c4d, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(SNAP_LENGTH, 16);
  header.writeUInt32LE(linkNumber(linkType), 20);
  return header;
}

function classicRecord(at: bigint, captured: number, length: number): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(Number(at / 1_000_000_000n), 0);
  header.writeUInt32LE(Number(at % 1_000_000_000n), 4);
  header.writeUInt32LE(captured, 8);
  header.writeUInt32LE(length, 12);
  return header;
}
