import { Flag, SLOT_HEAD_OFFSET, Verdict } from "../generated/abi.js";
import { crc32c } from "./checksums.js";
import { isMalformed, type Malformed, type Parsed, parsePacket } from "./parse.js";
import type { SlotOutput } from "./slots.js";

const SCTP = 132;

/** The packet with what the stage wrote; a new frame is parsed again unless it is to be received again anyway. */
export function writeBack(parsed: Parsed, out: SlotOutput): { bytes: Buffer } | Malformed {
  if ((out.flags & Flag.WRITTEN) === 0) return { bytes: parsed.bytes };
  const push = SLOT_HEAD_OFFSET - out.head;
  const bytes = Buffer.concat([out.bytes, parsed.bytes.subarray(out.headLength - push)]);
  let facts = parsed;
  if (push !== 0 && out.verdict !== Verdict.REINPUT) {
    const again = parsePacket(bytes);
    if (isMalformed(again)) return again;
    facts = again;
  }
  const isWhole = (facts.flags & Flag.FRAGMENT) === 0 && facts.l4Offset !== 0;
  if ((out.flags & Flag.SCTP_CHECKSUM_STALE) !== 0 && facts.protocol === SCTP && isWhole)
    completeSctp(bytes.subarray(facts.l4Offset));
  return { bytes };
}

function completeSctp(segment: Buffer): void {
  segment.writeUInt32LE(0, 8);
  segment.writeUInt32LE(crc32c(segment), 8);
}
