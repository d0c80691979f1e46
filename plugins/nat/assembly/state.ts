/**
 * A flow's translation. An address and its replacement are kept as their exclusive or: the same word takes a packet's
 * field from the one to the other in one direction, and back in the other, so 40 bytes hold all four IPv6 addresses.
 */
@flowState(1)
@unmanaged
export class Translation {
  /** Generation of the last check against the configuration << 8 | flags below. */
  word: u32;
  destinationPort: u16;
  sourcePort: u16;
  destinationHigh: u64;
  destinationLow: u64;
  sourceHigh: u64;
  sourceLow: u64;

  // @ts-ignore: decorator
  @inline has(flag: u32): bool { return (this.word & flag) != 0; }
  // @ts-ignore: decorator
  @inline isOf(generation: u32): bool { return (this.word ^ generation << 8) < 256; }
  // @ts-ignore: decorator
  @inline setGeneration(generation: u32): void { this.word = this.word & 0xff | generation << 8; }
}

/** Whether a backend is needed has been decided. */
// @ts-ignore: decorator
@inline export const DESTINATION_DECIDED: u32 = 1;
/** The destination is translated. */
// @ts-ignore: decorator
@inline export const DESTINATION: u32 = 2;
// @ts-ignore: decorator
@inline export const SOURCE_DECIDED: u32 = 4;
// @ts-ignore: decorator
@inline export const SOURCE: u32 = 8;
