// Copying, filling and comparing memory, in place of AssemblyScript's own functions, which stand for instructions that the
// engine does not have (bulk memory is off). Those copy 4 aligned bytes at a time, with a case for each alignment, and are a
// sixth of a small plugin's code; unaligned words of 8 bytes take no longer on the machines that stages run on.
//
// The compiler's library knows these functions by name and signature.

export function memmove(to: usize, from: usize, count: usize): void {
  if (to - from >= count) { // also where `to` lies before `from`: what is read has not been written yet
    for (; count >= 8; count -= 8, to += 8, from += 8) store<u64>(to, load<u64>(from));
    for (; count != 0; count--) store<u8>(to++, load<u8>(from++));
    return;
  }
  for (; count >= 8; count -= 8) store<u64>(to + count - 8, load<u64>(from + count - 8));
  while (count != 0) {
    count--;
    store<u8>(to + count, load<u8>(from + count));
  }
}

export function memset(to: usize, byte: u8, count: usize): void {
  const word = <u64>byte * 0x0101010101010101;
  for (; count >= 8; count -= 8, to += 8) store<u64>(to, word);
  for (; count != 0; count--) store<u8>(to++, byte);
}

/** Below, equal to or above 0, as the first byte that differs says. */
export function memcmp(a: usize, b: usize, count: usize): i32 {
  if (a == b) return 0;
  for (; count >= 8 && load<u64>(a) == load<u64>(b); count -= 8) {
    a += 8;
    b += 8;
  }
  for (; count != 0; count--, a++, b++) {
    const difference = <i32>load<u8>(a) - <i32>load<u8>(b);
    if (difference != 0) return difference;
  }
  return 0;
}
