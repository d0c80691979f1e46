// The memory of AssemblyScript's objects, in place of its own "stub" runtime: one pointer that moves up, within PRIVATE and,
// in configure, once that is full, within the host's spare memory. Nothing is freed but what was made last, or all since
// something was, so allocation is for init and configure; the build keeps it off the packet path.
// A module's memory is larger than PRIVATE, and what lies behind is the host's, so the bound is checked here.
//
// The compiler knows these functions by name and signature, and a block's layout: 4 bytes of size, then, in objects,
// two words of the garbage collector's, the class's id and the object's size.

import { AL_MASK, BLOCK, BLOCK_OVERHEAD, OBJECT, OBJECT_OVERHEAD } from "./common";

/** PRIVATE_BASE + PRIVATE_SIZE, see abi.json; the build writes the number. */
const END: usize = 0;

// @ts-ignore: decorator
@lazy let top: usize = ((__heap_base + BLOCK_OVERHEAD + AL_MASK) & ~AL_MASK) - BLOCK_OVERHEAD;

/** Of the spare memory's first block; 0: there is none. */
// @ts-ignore: decorator
@lazy let spare: usize = 0;
// @ts-ignore: decorator
@lazy let spareEnd: usize = 0;

/** Configure only: what is made goes on there once PRIVATE is full. Behind PRIVATE, as all that the host maps. */
// @ts-ignore: decorator
@unsafe @global
export function __lend(base: usize, size: usize): void {
  spare = size == 0 ? 0 : ((base + BLOCK_OVERHEAD + AL_MASK) & ~AL_MASK) - BLOCK_OVERHEAD;
  spareEnd = base + size;
}

/** What can be made yet, in bytes. Of PRIVATE's rest nothing counts once there is more elsewhere: the next list may skip it. */
// @ts-ignore: decorator
@unsafe @global
export function __room(): usize { return top >= END ? spareEnd - top : spare == 0 ? END - top : spareEnd - spare; }

/** Whether a block of `size` bytes can lie at `block`. */
function fits(block: usize, size: usize): bool {
  const end = block < END ? END : spareEnd;
  return size <= end && block + BLOCK_OVERHEAD + size + AL_MASK <= end;
}

/** Moves the pointer to the end of a block at `block` with room for `size` bytes, and notes its size there. */
function extend(block: usize, size: usize): void {
  const payload = ((size + BLOCK_OVERHEAD + AL_MASK) & ~AL_MASK) - BLOCK_OVERHEAD;
  changetype<BLOCK>(block).mmInfo = payload;
  top = block + BLOCK_OVERHEAD + payload;
}

// @ts-ignore: decorator
@unsafe @global
export function __alloc(size: usize): usize {
  if (!fits(top, size)) {
    if (top < END && spare != 0) top = spare;
    if (!fits(top, size)) {
      if (spare != 0) abort("the plugin's memory is full: it has 72 MiB for its objects in configure");
      abort("the plugin's memory is full: it has 8 MiB for its objects");
    }
  }
  const block = top;
  extend(block, size);
  return block + BLOCK_OVERHEAD;
}

// @ts-ignore: decorator
@unsafe @global
export function __realloc(pointer: usize, size: usize): usize {
  const block = pointer - BLOCK_OVERHEAD;
  const present = changetype<BLOCK>(block).mmInfo;
  if (pointer + present == top && fits(block, size)) {
    extend(block, size);
    return pointer;
  }
  if (size <= present) return pointer;
  const made = __alloc(max<usize>(size, present << 1)); // lists that grow by one are copied seldom
  memory.copy(made, pointer, present);
  return made;
}

// @ts-ignore: decorator
@unsafe @global
export function __free(pointer: usize): void {
  const block = pointer - BLOCK_OVERHEAD;
  if (pointer + changetype<BLOCK>(block).mmInfo == top) top = block;
}

/** Gives back what was made since `pointer` was, and that too. None of it may be in use. */
// @ts-ignore: decorator
@unsafe @global
export function __release(pointer: usize): void { top = pointer - BLOCK_OVERHEAD; }

// @ts-ignore: decorator
@unsafe @global
export function __new(size: usize, id: u32): usize {
  const pointer = __alloc(OBJECT_OVERHEAD + size);
  const object = changetype<OBJECT>(pointer - BLOCK_OVERHEAD);
  object.gcInfo = 0;
  object.gcInfo2 = 0;
  object.rtId = id;
  object.rtSize = <u32>size;
  return pointer + OBJECT_OVERHEAD;
}

// @ts-ignore: decorator
@unsafe @global
export function __renew(old: usize, size: usize): usize {
  const pointer = __realloc(old - OBJECT_OVERHEAD, OBJECT_OVERHEAD + size);
  changetype<OBJECT>(pointer - BLOCK_OVERHEAD).rtSize = <u32>size;
  return pointer + OBJECT_OVERHEAD;
}

// Without a garbage collector there is nothing to link, pin or visit.

// @ts-ignore: decorator
@global @unsafe
export function __link(parent: usize, child: usize, isMany: bool): void {}
// @ts-ignore: decorator
@global @unsafe
export function __pin(pointer: usize): usize { return pointer; }
// @ts-ignore: decorator
@global @unsafe
export function __unpin(pointer: usize): void {}
// @ts-ignore: decorator
@global @unsafe
function __visit(pointer: usize, cookie: u32): void {}
// @ts-ignore: decorator
@global @unsafe
export function __collect(): void {}
