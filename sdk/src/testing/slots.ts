// The burst window as the native host lays it out and reads it back (native/src/wasm/window.cc, commit.cc).

import {
  CtDirection,
  CtState,
  Flag,
  NO_PORT,
  SLOT_CT_DIRECTION,
  SLOT_CT_STATE,
  SLOT_FAMILY,
  SLOT_FLAGS,
  SLOT_FLOW,
  SLOT_FLOW_STATE,
  SLOT_FLOW_STATE_SIZE,
  SLOT_HASH,
  SLOT_HEAD,
  SLOT_HEAD_LENGTH,
  SLOT_HEAD_OFFSET,
  SLOT_HEADROOM_OFFSET,
  SLOT_IN_PORT,
  SLOT_INNER_L3_OFFSET,
  SLOT_INNER_L4_OFFSET,
  SLOT_L2_LENGTH,
  SLOT_L4_OFFSET,
  SLOT_MARK,
  SLOT_NEXT_HOP,
  SLOT_OUT_PORT,
  SLOT_PACKET_LENGTH,
  SLOT_PAYLOAD_OFFSET,
  SLOT_PROTOCOL,
  SLOT_REASON,
  SLOT_STRIDE,
  SLOT_TABLE,
  SLOT_VERDICT,
  SLOTS_OFFSET,
  WINDOW_BASE,
} from "../generated/abi.js";
import type { Parsed } from "./parse.js";
import type { CtStateName, PacketRow } from "./rows.js";

export interface SlotInput {
  parsed: Parsed;
  row: PacketRow;
  /** Flow number + 1; 0 without a flow. */
  flow: number;
  ctState: CtStateName;
}
/** What a stage left in a slot. */
export interface SlotOutput {
  verdict: number;
  reason: number;
  head: number;
  headLength: number;
  packetLength: number;
  flags: number;
  outPort: number;
  table: number;
  mark: number;
  /** 16 bytes. */
  nextHop: Buffer;
  /** Bytes of the packet in the window, from HEAD; empty when HEAD or HEAD_LENGTH is impossible. */
  bytes: Buffer;
}

const LEAST_L4: Record<number, number> = { 6: 20, 132: 12 };

/** One slot of an instance's memory. */
export class Slot {
  readonly address: number;
  private readonly bytes: Buffer;

  constructor(memory: ArrayBuffer, index: number) {
    this.address = WINDOW_BASE + SLOTS_OFFSET + index * SLOT_STRIDE;
    this.bytes = Buffer.from(memory, this.address, SLOT_STRIDE);
  }

  /** Puts a packet in; `view` is the most bytes of it that the stage gets to see. Returns HEAD_LENGTH. */
  fill(input: SlotInput, view: number): number {
    const { parsed, row } = input;
    const size = Math.min(parsed.bytes.length, view);
    const slot = this.bytes.fill(0);
    parsed.bytes.copy(slot, SLOT_HEAD_OFFSET, 0, size);
    const flags =
      parsed.flags |
      (row.partial ? Flag.PARTIAL_CHECKSUM : 0) |
      (row.gsoSize ? Flag.SUPER_FRAME : 0) |
      (parsed.bytes.length > size ? Flag.TRUNCATED_VIEW : 0) |
      (row.traced ? Flag.TRACED : 0);
    const link = Buffer.from(row.link ?? "", "hex");
    link.copy(slot, SLOT_HEAD_OFFSET - link.length);
    slot.writeUInt8(link.length, SLOT_L2_LENGTH);
    slot.writeUInt16LE(SLOT_HEAD_OFFSET, SLOT_HEAD);
    slot.writeUInt16LE(size, SLOT_HEAD_LENGTH);
    slot.writeUInt32LE(parsed.bytes.length, SLOT_PACKET_LENGTH);
    slot.writeUInt8(parsed.family, SLOT_FAMILY);
    slot.writeUInt8(parsed.protocol, SLOT_PROTOCOL);
    slot.writeUInt16LE(flags, SLOT_FLAGS);
    this.fillOffsets(parsed, size);
    slot.writeUInt32LE(parsed.hash, SLOT_HASH);
    slot.writeUInt16LE(row.inPort ?? 0, SLOT_IN_PORT);
    slot.writeUInt16LE(row.outPort ?? NO_PORT, SLOT_OUT_PORT);
    slot.writeUInt8(CtState[input.ctState.toUpperCase() as keyof typeof CtState], SLOT_CT_STATE);
    slot.writeUInt8(row.direction === "reply" ? CtDirection.REPLY : CtDirection.ORIGINAL, SLOT_CT_DIRECTION);
    slot.writeUInt16LE(row.table ?? 0, SLOT_TABLE);
    slot.writeUInt32LE(row.mark ?? 0, SLOT_MARK);
    slot.writeUInt32LE(input.flow, SLOT_FLOW);
    return size;
  }

  /** Offsets of headers outside the window are zero. */
  private fillOffsets(parsed: Parsed, size: number): void {
    let { l4Offset: l4, innerL3Offset: innerL3, innerL4Offset: innerL4 } = parsed;
    const isPlain = parsed.payloadOffset <= size && l4 <= parsed.payloadOffset && innerL3 === 0;
    if (!isPlain) {
      if (l4 + (LEAST_L4[parsed.protocol] ?? 8) > size) l4 = 0;
      if (innerL3 + (parsed.family === 4 ? 20 : 40) > size) innerL3 = innerL4 = 0;
      if (innerL4 + 8 > size) innerL4 = 0;
    }
    this.bytes.writeUInt16LE(l4, SLOT_L4_OFFSET);
    this.bytes.writeUInt16LE(parsed.payloadOffset, SLOT_PAYLOAD_OFFSET);
    this.bytes.writeUInt16LE(innerL3, SLOT_INNER_L3_OFFSET);
    this.bytes.writeUInt16LE(innerL4, SLOT_INNER_L4_OFFSET);
  }

  /** The stage's state in the packet's flow: 64 bytes, shared with the memory. */
  get flowState(): Buffer {
    return this.bytes.subarray(SLOT_FLOW_STATE, SLOT_FLOW_STATE + SLOT_FLOW_STATE_SIZE);
  }
  setNewSlot(isNew: boolean): void {
    const flags = this.bytes.readUInt16LE(SLOT_FLAGS) & ~Flag.NEW_SLOT;
    this.bytes.writeUInt16LE(isNew ? flags | Flag.NEW_SLOT : flags, SLOT_FLAGS);
  }

  save(): Buffer {
    return Buffer.from(this.bytes);
  }
  /** All but the flow state. */
  restore(saved: Buffer): void {
    const state = Buffer.from(this.flowState);
    saved.copy(this.bytes);
    state.copy(this.flowState);
  }

  read(): SlotOutput {
    const slot = this.bytes;
    const head = slot.readUInt16LE(SLOT_HEAD);
    const headLength = slot.readUInt16LE(SLOT_HEAD_LENGTH);
    return {
      verdict: slot.readUInt8(SLOT_VERDICT),
      reason: slot.readUInt16LE(SLOT_REASON),
      head,
      headLength,
      packetLength: slot.readUInt32LE(SLOT_PACKET_LENGTH),
      flags: slot.readUInt16LE(SLOT_FLAGS),
      outPort: slot.readUInt16LE(SLOT_OUT_PORT),
      table: slot.readUInt16LE(SLOT_TABLE),
      mark: slot.readUInt32LE(SLOT_MARK),
      nextHop: Buffer.from(slot.subarray(SLOT_NEXT_HOP, SLOT_NEXT_HOP + 16)),
      bytes: Buffer.from(slot.subarray(head, head + headLength)),
    };
  }
}

/** The stage may have moved the head, but nothing else may have changed about where the packet lies. */
export function isPlacementPossible(
  out: SlotOutput,
  headLength: number,
  packetLength: number,
  writes: boolean,
): boolean {
  const end = SLOT_HEAD_OFFSET + headLength;
  if (out.head < SLOT_HEADROOM_OFFSET || out.head > end || out.head + out.headLength !== end) return false;
  if (out.packetLength !== packetLength + SLOT_HEAD_OFFSET - out.head || out.packetLength === 0) return false;
  const hasMoved = out.head !== SLOT_HEAD_OFFSET;
  const isWritten = (out.flags & Flag.WRITTEN) !== 0;
  return writes ? isWritten || !hasMoved : !isWritten && !hasMoved;
}
