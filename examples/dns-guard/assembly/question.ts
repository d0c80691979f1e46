import { Payload, Scratch } from "@sluice/sdk";
import { deniedNames } from "./config";
import { addLabel, NAME_SEED } from "./names";

// RFC 1035, section 4.1.1.
const HEADER: u32 = 12;
/** QR and opcode: 0 in a standard query. */
const RESPONSE_OR_OPCODE: u32 = 0xf800;
/** Behind the name: type and class. */
const TYPE_AND_CLASS: u32 = 4;
const MAX_NAME: u32 = 255;

/** Where the labels of the name in work begin: u8 each, from the name's start. A name has 127 at most. */
const labels = new Scratch(128);
let labelCount: u32 = 0;
let nameEnd: u32 = 0;

/**
 * Reads the one question of a standard query. False when the message is anything else, is cut short, or has a name that a
 * query cannot have: longer than 255 bytes, or with compression, of which there is nothing to point to.
 */
export function readQuestion(message: Payload): bool {
  if (message.length < HEADER || (message.u16(2) & RESPONSE_OR_OPCODE) != 0) return false;
  // One question, no answers, no authority; additional records are EDNS's (RFC 6891) and a signature (RFC 8945).
  if (message.u32(4) != 0x00010000 || message.u16(8) != 0 || message.u16(10) > 2) return false;
  labelCount = 0;
  let at = HEADER;
  while (at < message.length) {
    const length = message.u8(at);
    if (length == 0) {
      nameEnd = at + 1;
      return nameEnd + TYPE_AND_CLASS <= message.length;
    }
    // 63 is the longest label, 0xc0 begins a pointer. The name's last byte is that of the root.
    if (length > 63 || at + length + 2 - HEADER > MAX_NAME) return false;
    labels.set<u8>(labelCount++, <u8>(at - HEADER));
    at += length + 1;
  }
  return false;
}

/** Type of the question that was read. */
export function questionType(message: Payload): u32 { return message.u16(nameEnd); }

/** The name of the question that was read, or one that it is below, is denied. One pass, from the last label on. */
export function isNameDenied(message: Payload): bool {
  if (deniedNames.size == 0) return false;
  let hash = NAME_SEED;
  for (let i = labelCount; i > 0; i--) {
    const at = HEADER + <u32>labels.get<u8>(i - 1);
    hash = addLabel(hash, message.hashText(at + 1, message.u8(at)));
    if (deniedNames.has(hash)) return true;
  }
  return false;
}
