// Blocks of a pcapng file (draft-ietf-opsawg-pcapng), little-endian, with times in nanoseconds. A file is one section
// header, then an interface's block before the first packet of it.

/** Link type of frames with an Ethernet header. */
export const LINK_ETHERNET = 1;
/** Packets begin with their IP header. */
export const LINK_RAW = 101;

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const UNKNOWN_LENGTH = 0xffffffff;

const OPTION_COMMENT = 1;
const SECTION_APPLICATION = 4;
const INTERFACE_NAME = 2;
const INTERFACE_DESCRIPTION_TEXT = 3;
const INTERFACE_TIME_RESOLUTION = 9;
/** Powers of ten. */
const NANOSECONDS = 9;

/** Where packets of a capture were seen. */
export interface CaptureInterface {
  name: string;
  description?: string;
  linkType: number;
  /** Most bytes of a packet that are kept; 0: all. */
  snapLength: number;
}

/** A packet of a capture. */
export interface CapturedFrame {
  /** Index of the interface's block in the file, from 0. */
  interface: number;
  /** Unix time in nanoseconds. */
  at: bigint;
  bytes: Uint8Array;
  /** Of the whole frame, where not all of its bytes are kept. */
  length?: number;
  comment?: string;
}

/** Begins a file. @param application the program that writes it */
export function sectionBlock(application: string): Buffer {
  const fixed = Buffer.alloc(16);
  fixed.writeUInt32LE(BYTE_ORDER_MAGIC, 0);
  fixed.writeUInt16LE(1, 4);
  fixed.writeUInt32LE(UNKNOWN_LENGTH, 8);
  fixed.writeUInt32LE(UNKNOWN_LENGTH, 12);
  return block(SECTION_HEADER, fixed, [[SECTION_APPLICATION, Buffer.from(application)]]);
}

/** Gives the next interface number its meaning. */
export function interfaceBlock({ name, description, linkType, snapLength }: CaptureInterface): Buffer {
  const fixed = Buffer.alloc(8);
  fixed.writeUInt16LE(linkType, 0);
  fixed.writeUInt32LE(snapLength, 4);
  return block(INTERFACE_DESCRIPTION, fixed, [
    [INTERFACE_NAME, Buffer.from(name)],
    ...option(INTERFACE_DESCRIPTION_TEXT, description),
    [INTERFACE_TIME_RESOLUTION, Buffer.from([NANOSECONDS])],
  ]);
}

/** A packet, as an enhanced packet block. */
export function packetBlock({ interface: number, at, bytes, length = bytes.length, comment }: CapturedFrame): Buffer {
  const fixed = Buffer.alloc(20 + padded(bytes.length));
  fixed.writeUInt32LE(number, 0);
  fixed.writeUInt32LE(Number(at >> 32n), 4);
  fixed.writeUInt32LE(Number(at & 0xffffffffn), 8);
  fixed.writeUInt32LE(bytes.length, 12);
  fixed.writeUInt32LE(length, 16);
  fixed.set(bytes, 20);
  return block(ENHANCED_PACKET, fixed, option(OPTION_COMMENT, comment));
}

type Option = readonly [code: number, value: Uint8Array];

function option(code: number, text: string | undefined): Option[] {
  return text === undefined ? [] : [[code, Buffer.from(text)]];
}

/** The length stands at both ends; options end with one of code and length 0. */
function block(type: number, fixed: Uint8Array, options: readonly Option[]): Buffer {
  const encoded = options.map(([code, value]) => {
    const bytes = Buffer.alloc(4 + padded(value.length));
    bytes.writeUInt16LE(code, 0);
    bytes.writeUInt16LE(value.length, 2);
    bytes.set(value, 4);
    return bytes;
  });
  const body = Buffer.concat([fixed, ...encoded, ...(options.length === 0 ? [] : [Buffer.alloc(4)])]);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(body.length + 12, 4);
  return Buffer.concat([head, body, head.subarray(4)]);
}

const padded = (length: number): number => (length + 3) & ~3;
