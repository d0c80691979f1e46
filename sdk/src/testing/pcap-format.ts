// What capture files hold, whatever their format.

import { LINK_ETHERNET, LINK_RAW } from "./pcapng.js";

/** "raw": packets begin with their IP header. */
export type LinkType = "ethernet" | "raw";

/** A packet of a capture file. */
export interface PcapPacket {
  /** As captured, link header included. */
  bytes: Uint8Array;
  linkType: LinkType;
  /** Unix time in nanoseconds. */
  at: bigint;
  /** Of the packet on the wire; more than there are bytes where the capture cut it. */
  length: number;
  /** The interface's name, of pcapng. */
  interface?: string;
}

/** A capture file that cannot be read or written: where and why, and what to do. */
export class PcapError extends Error {
  override readonly name = "PcapError";
  constructor(
    readonly file: string,
    problem: string,
    readonly remedy: string,
    /** Byte offset in the file. */
    readonly offset?: number,
    /** Of the packet, from 1, as tshark counts. */
    readonly packet?: number,
  ) {
    const places = [
      ...(packet === undefined ? [] : [`packet ${packet}`]),
      ...(offset === undefined ? [] : [`byte ${offset}`]),
    ];
    const where = places.length > 0 ? `${file}, ${places.join(", ")}` : file;
    super(`${where}: ${problem}\n  ${remedy}`);
  }
}

const linkTypes = new Map<number, LinkType>([
  [LINK_ETHERNET, "ethernet"],
  [LINK_RAW, "raw"],
  [228, "raw"],
  [229, "raw"],
]);

/** More than any program captures of one packet. */
export const MAX_CAPTURED = 1 << 24;
export const CUT_REMEDY = "The file was cut short: copy it again, or save what is whole with: editcap FILE WHOLE";

export function linkTypeOf(file: string, number: number, offset: number): PcapPacket["linkType"] {
  const found = linkTypes.get(number);
  if (found) return found;
  const remedy = "Ethernet (1) and raw IP (101, 228, 229) are known: capture on one interface, not on 'any'";
  throw new PcapError(file, `its packets are of link type ${number}`, remedy, offset);
}
