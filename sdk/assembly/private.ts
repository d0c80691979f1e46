/**
 * Address of `bytes` bytes of the instance's own, taken at module start and never given back; all zero, since nothing
 * was there before. Ends the module's start with an error when the 8 MiB that there are for all do not hold them.
 */
export function takePrivate(bytes: u64): usize { return heap.alloc(<usize>min<u64>(bytes, u32.MAX_VALUE)); }
