// Memory of the instance's own, taken at module start and never given back. Nothing was there before, so it is all zero.

import { PRIVATE_BASE, PRIVATE_SIZE } from "./generated/abi";

/** Address of `bytes` bytes of zero, aligned to 8. Ends the module's start with an error when they are not there. */
export function takePrivate(bytes: u64): usize {
  const limit: u64 = PRIVATE_BASE + PRIVATE_SIZE;
  // The allocator puts blocks one behind the other, each with a header.
  if (bytes >= limit) tooMuch();
  const start = heap.alloc(8);
  if (<u64>start + bytes + 64 > limit) tooMuch();
  return heap.alloc(<usize>bytes);
}

function tooMuch(): void { throw new Error("the stage's own tables take more than the 8 MiB that there are for them"); }
