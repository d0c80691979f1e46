// JSON text at INPUT, by addresses: its checking, the way through what was checked, and its strings.

import { BURST_INPUT_LENGTH, INPUT_BASE, WINDOW_BASE } from "./generated/abi";
import { hexDigit } from "./address";

// @ts-ignore: decorator
@inline export const QUOTE: u32 = 0x22;
// @ts-ignore: decorator
@inline const BACKSLASH: u32 = 0x5c;
const MAX_DEPTH: i32 = 64;

// @ts-ignore: decorator
@inline export function inputEnd(): usize { return INPUT_BASE + <usize>load<u32>(WINDOW_BASE + BURST_INPUT_LENGTH); }

// @ts-ignore: decorator
@inline export function byteAt(at: usize): u32 { return at < inputEnd() ? load<u8>(at) : 0; }

// @ts-ignore: decorator
@inline function isSpace(byte: u32): bool { return byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09; }

export function skipSpace(at: usize): usize {
  while (isSpace(byteAt(at))) at++;
  return at;
}

// Checking. Each function returns the address behind what it checked, or 0 with `wrongAt` set.

export let wrongAt: usize = 0;
function wrong(at: usize): usize {
  wrongAt = at;
  return 0;
}

export function checkValue(at: usize, depth: i32): usize {
  const byte = byteAt(at);
  if (depth > MAX_DEPTH) return wrong(at);
  if (byte == QUOTE) return checkString(at);
  if (byte == 0x7b) return checkMembers(at, depth, true);
  if (byte == 0x5b) return checkMembers(at, depth, false);
  if (byte == 0x74) return checkWord(at, 0x65757274, 4); // true
  if (byte == 0x6e) return checkWord(at, 0x6c6c756e, 4); // null
  if (byte == 0x66 && byteAt(at + 1) == 0x61) return checkWord(at + 1, 0x65736c61, 4); // f + alse
  return checkNumber(at);
}

function checkMembers(at: usize, depth: i32, isObject: bool): usize {
  const close: u32 = isObject ? 0x7d : 0x5d;
  at = skipSpace(at + 1);
  if (byteAt(at) == close) return at + 1;
  while (true) {
    if (isObject) {
      const end = byteAt(at) == QUOTE ? checkString(at) : wrong(at);
      if (end == 0) return 0;
      at = skipSpace(end);
      if (byteAt(at) != 0x3a) return wrong(at);
      at = skipSpace(at + 1);
    }
    const end = checkValue(at, depth + 1);
    if (end == 0) return 0;
    at = skipSpace(end);
    if (byteAt(at) == close) return at + 1;
    if (byteAt(at) != 0x2c) return wrong(at);
    at = skipSpace(at + 1);
  }
}

function checkWord(at: usize, word: u32, length: usize): usize {
  return at + length <= inputEnd() && load<u32>(at) == word ? at + length : wrong(at);
}

function checkString(at: usize): usize {
  while (true) {
    const byte = byteAt(++at);
    if (byte == QUOTE) return at + 1;
    if (byte < 0x20) return wrong(at);
    if (byte != BACKSLASH) continue;
    const escape = byteAt(++at);
    if (escape == 0x75) {
      for (let i = 0; i < 4; i++) if (hexDigit(byteAt(++at)) < 0) return wrong(at);
    } else if (escape != QUOTE && escape != BACKSLASH && escape != 0x2f && simpleEscape(escape) == 0) {
      return wrong(at);
    }
  }
}

function checkDigits(at: usize): usize {
  if (byteAt(at) - 0x30 >= 10) return wrong(at);
  while (byteAt(at) - 0x30 < 10) at++;
  return at;
}

function checkNumber(at: usize): usize {
  if (byteAt(at) == 0x2d) at++;
  at = byteAt(at) == 0x30 ? at + 1 : checkDigits(at);
  if (at != 0 && byteAt(at) == 0x2e) at = checkDigits(at + 1);
  if (at != 0 && (byteAt(at) | 0x20) == 0x65) {
    at++;
    if (byteAt(at) == 0x2b || byteAt(at) == 0x2d) at++;
    at = checkDigits(at);
  }
  return at;
}

// Navigating in checked text.

export function skipString(at: usize): usize {
  while (true) {
    const byte: u32 = load<u8>(++at);
    if (byte == QUOTE) return at + 1;
    if (byte == BACKSLASH) at++;
  }
}

export function skipValue(at: usize): usize {
  let depth = 0;
  for (; at < inputEnd(); at++) {
    const byte: u32 = load<u8>(at);
    if (byte == QUOTE) {
      at = skipString(at) - 1;
      if (depth == 0) return at + 1;
    } else if (byte == 0x7b || byte == 0x5b) {
      depth++;
    } else if (byte == 0x7d || byte == 0x5d) {
      if (depth == 0) return at; // a number or word ends here
      if (--depth == 0) return at + 1;
    } else if (depth == 0 && (byte == 0x2c || byte <= 0x20)) {
      return at;
    }
  }
  return at;
}

/** Address of the opening quote of a member's name; 0 for an array's item or the root. */
export function keyStart(value: usize): usize {
  let at = spaceBefore(value);
  if (at < INPUT_BASE || <u32>load<u8>(at) != 0x3a) return 0;
  at = spaceBefore(at);
  while (true) {
    at--;
    if (<u32>load<u8>(at) != QUOTE) continue;
    let slashes = 0;
    while (<u32>load<u8>(at - 1 - slashes) == BACKSLASH) slashes++;
    if ((slashes & 1) == 0) return at;
  }
}

/** Address of the last byte before `at` that is no white space. */
function spaceBefore(at: usize): usize {
  at--;
  while (at >= INPUT_BASE && isSpace(load<u8>(at))) at--;
  return at;
}

/** b, f, n, r, t */
function simpleEscape(letter: u32): u32 {
  if (letter == 0x62) return 8;
  if (letter == 0x66) return 12;
  if (letter == 0x6e) return 10;
  if (letter == 0x72) return 13;
  return letter == 0x74 ? 9 : 0;
}

/** True when the string whose opening quote is at `at` is `text`; allocates only when it has escapes or is not ASCII. */
export function equals(at: usize, text: string): bool {
  const end = skipString(at) - 1;
  const length = <usize>text.length;
  for (let i: usize = 0; i < length; i++) {
    const byte: u32 = at + 1 + i < end ? load<u8>(at + 1 + i) : 0;
    if (byte == BACKSLASH || byte > 0x7f) return decode(at) == text;
    if (byte != <u32>load<u16>(changetype<usize>(text) + (i << 1))) return false;
  }
  return at + 1 + length == end;
}

/** The string whose opening quote is at `at`. */
export function decode(at: usize): string {
  const end = skipString(at) - 1;
  let text = "";
  let start = ++at;
  while (at < end) {
    if (<u32>load<u8>(at) != BACKSLASH) {
      at++;
      continue;
    }
    text += String.UTF8.decodeUnsafe(start, at - start);
    const escape: u32 = load<u8>(++at);
    let code = simpleEscape(escape);
    if (escape == 0x75) {
      for (let i = 0; i < 4; i++) code = code << 4 | hexDigit(load<u8>(++at));
    } else if (code == 0) {
      code = escape;
    }
    text += String.fromCharCode(code);
    start = ++at;
  }
  return text + String.UTF8.decodeUnsafe(start, end - start);
}
