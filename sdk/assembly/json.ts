// The configuration text as a tree, without building one: a Json is the address of a value's first byte in INPUT. The text is
// checked once, before configure; from then on it is known to be well-formed. For configure only: strings are allocated.

import {
  BURST_ERROR_LENGTH, BURST_ERROR_TEXT, BURST_ERROR_TEXT_SIZE, BURST_SPARE_SIZE, INPUT_BASE, PRIVATE_SIZE, WINDOW_BASE
} from "./generated/abi";
import { parseAddress4, parseAddress6 } from "./address";
import { Ipv6Address } from "./headers";
import {
  byteAt, checkValue, decode, equals, inputEnd, keyStart, QUOTE, skipSpace, skipString, skipValue, wrongAt
} from "./json-text";

/** Writes the error that configure ends with, as much of it as fits; the first one stays. */
export function reportError(text: string): void {
  if (load<u32>(WINDOW_BASE + BURST_ERROR_LENGTH) != 0) return;
  store<u32>(WINDOW_BASE + BURST_ERROR_LENGTH, encode(text, WINDOW_BASE + BURST_ERROR_TEXT, <u32>BURST_ERROR_TEXT_SIZE));
}
export function hasError(): bool { return load<u32>(WINDOW_BASE + BURST_ERROR_LENGTH) != 0; }

/** Reports what is wrong with a value of the configuration, or with a member of it that need not be there. */
export function reportAt(value: Json, member: string, message: string): void {
  if (hasError()) return;
  let path = value.isPresent ? pathTo(skipSpace(INPUT_BASE), changetype<usize>(value)) : "";
  if (path.length != 0 && member.length != 0) path += ".";
  path += member;
  reportError((path.length == 0 ? "the configuration" : path) + " " + message);
}
/** Reports that the stage's own memory is full; configure then ends with TOO_LARGE. */
export function reportTooLarge(at: Json): void {
  if (!hasError()) isTooLarge = true;
  const memory = decimal((PRIVATE_SIZE + load<u32>(WINDOW_BASE + BURST_SPARE_SIZE)) >>> 20);
  reportAt(at, "", "is too large: the plugin has " + memory + " MiB of memory for what it reads; split it, or read it as Json");
}
export let isTooLarge: bool = false;

/** An address prefix as the configuration has it. */
@unmanaged
export class Prefix {
  /** 4 or 6; 0: none was read. */
  family: u32;
/** In bits: 0 to 32, or to 128. */
  length: u32;
  /** IPv4, host order. */
  address4: u32;
  private pad: u32;
  private high: u64;
  private low: u64;
  /** The address of an IPv6 prefix. */
  // @ts-ignore: decorator
  @inline get address6(): Ipv6Address { return changetype<Ipv6Address>(changetype<usize>(this) + 16); }
}

/** One address of either family, as the configuration has it. */
@unmanaged
export class IpAddress extends Prefix {}

/**
 * A value in the configuration. Reading one of the wrong type or range reports an error that names its path, and yields zero;
 * configure then ends with that error, so no caller needs to check each read. Values of `get` that are absent read as zero
 * without an error.
 */
@unmanaged
export class Json {
  /** False for a member that is not there, and after the last item. */
  // @ts-ignore: decorator
  @inline get isPresent(): bool { return changetype<usize>(this) != 0; }
  /** The value null. */
  get isNull(): bool { return this.startsWith(0x6e); }
  /** An object. */
  get isObject(): bool { return this.startsWith(0x7b); }
  /** A list. */
  get isArray(): bool { return this.startsWith(0x5b); }
  /** A text. */
  get isString(): bool { return this.startsWith(QUOTE); }
  /** True or false. */
  get isBoolean(): bool { return this.startsWith(0x74) || this.startsWith(0x66); }
  /** A number. */
  get isNumber(): bool {
    return this.startsWith(0x2d) || this.isPresent && <u32>load<u8>(changetype<usize>(this)) - 0x30 < 10;
  }

  /** A member of an object; absent when there is none (`isPresent` is false). */
  get(name: string): Json {
    if (!this.isPresent) return this;
    if (!this.isObject) {
      this.fail("must be an object");
      return changetype<Json>(0);
    }
    for (let member = this.first; member.isPresent; member = member.next) {
      if (member.isNamed(name)) return member;
    }
    return changetype<Json>(0);
  }
  /** A member of an object; reports an error when there is none. */
  need(name: string): Json {
    const found = this.get(name);
    if (!found.isPresent && this.isPresent) this.fail("'" + name + "' is missing");
    return found;
  }
  /** The first item of an array or member of an object; absent in an empty one. Reports an error in anything else. */
  get first(): Json {
    if (!this.isPresent) return this;
    const at = changetype<usize>(this);
    if (!this.isArray && !this.isObject) {
      this.fail("must be an array or an object");
      return changetype<Json>(0);
    }
    return itemAt(skipSpace(at + 1));
  }
  /** The item or member that follows this one; absent behind the last. */
  get next(): Json {
    if (!this.isPresent) return this;
    const at = skipSpace(skipValue(changetype<usize>(this)));
    return <u32>load<u8>(at) == 0x2c && at < inputEnd() ? itemAt(skipSpace(at + 1)) : changetype<Json>(0);
  }
  /** Number of items or members. */
  get length(): i32 {
    let count = 0;
    for (let item = this.first; item.isPresent; item = item.next) count++;
    return count;
  }
  /** Name of this member of an object; empty for an array's item. */
  get key(): string {
    const start = keyStart(changetype<usize>(this));
    return start == 0 ? "" : decode(start);
  }
  /** True when this is an object's member of that name. */
  isNamed(name: string): bool {
    const start = keyStart(changetype<usize>(this));
    return start != 0 && equals(start, name);
  }
  /** True when this is that string. */
  isText(text: string): bool { return this.isString && equals(changetype<usize>(this), text); }

/** The string; "", and reported, when it is none. */
  text(): string {
    if (!this.isPresent) return "";
    if (!this.isString) {
      this.fail("must be a string");
      return "";
    }
    return decode(changetype<usize>(this));
  }
/** Its value; false, and reported, when it is none. */
  boolean(): bool {
    if (!this.isPresent) return false;
    if (!this.isBoolean) this.fail("must be true or false");
    return this.startsWith(0x74);
  }
  /** A whole number from `least` to `most`. */
  integer(least: i64, most: i64): i64 {
    if (!this.isPresent) return 0;
    let at = changetype<usize>(this);
    const isNegative = <u32>load<u8>(at) == 0x2d;
    if (isNegative) at++;
    let value: i64 = 0;
    let digits = 0;
    for (; at < inputEnd() && <u32>load<u8>(at) - 0x30 < 10 && digits < 19; at++, digits++) {
      value = value * 10 + <i64>load<u8>(at) - 0x30;
    }
    if (isNegative) value = -value;
    const isWhole = this.isNumber && at == skipValue(changetype<usize>(this)) && digits < 19;
    if (!isWhole || value < least || value > most) {
      this.fail("must be a whole number from " + decimal(least) + " to " + decimal(most));
      return 0;
    }
    return value;
  }
  /** A whole number from 0 to `most`. */
  unsigned(most: u32 = 0xffffffff): u32 { return <u32>this.integer(0, <i64>most); }
/** Its value; 0, and reported, when it is none. */
  number(): f64 {
    if (!this.isPresent) return 0;
    if (!this.isNumber) {
      this.fail("must be a number");
      return 0;
    }
    const at = changetype<usize>(this);
    return parseFloat(String.UTF8.decodeUnsafe(at, skipValue(at) - at));
  }
  /** An IPv4 address, such as "10.0.0.1", in host order. */
  address4(): u32 {
    if (!this.isPresent) return 0;
    const at = changetype<usize>(this);
    const end = skipValue(at) - 1;
    const value = this.isString ? parseAddress4(at + 1, end) : -1;
    if (value < 0) this.fail('must be an IPv4 address such as "10.0.0.1"');
    return value < 0 ? 0 : <u32>value;
  }
  /** An IPv6 address, such as "fd00::1", into `into`. False when it is absent or none. */
  address6(into: Ipv6Address): bool {
    if (!this.isPresent) return false;
    const at = changetype<usize>(this);
    if (this.isString && parseAddress6(at + 1, skipValue(at) - 1, into)) return true;
    this.fail('must be an IPv6 address such as "fd00::1"');
    return false;
  }
  /** An address of either family with or without a prefix length, such as "10.0.0.0/8". False when it is absent or none. */
  prefix(into: Prefix): bool {
    into.family = 0;
    if (!this.isPresent) return false;
    if (!this.isString || !readPrefix(changetype<usize>(this), into)) {
      this.fail('must be an address or prefix such as "10.0.0.0/8" or "fd00::/64"');
      return false;
    }
    return true;
  }

  /** Reports that this value is wrong: `message` continues "rules[3].port ". */
  fail(message: string): void { reportAt(this, "", message); }

  // @ts-ignore: decorator
  @inline private startsWith(byte: u32): bool {
    return changetype<usize>(this) != 0 && <u32>load<u8>(changetype<usize>(this)) == byte;
  }
}

/** Checks the text at INPUT; its root, or an absent value after reporting where it is wrong. */
export function parseInput(): Json {
  const start = skipSpace(INPUT_BASE);
  const end = checkValue(start, 0);
  if (end != 0 && skipSpace(end) == inputEnd()) return changetype<Json>(start);
  const wrong = end == 0 ? wrongAt : skipSpace(end);
  let line = 1;
  let column = 1;
  for (let at = INPUT_BASE; at < wrong; at++) {
    column++;
    if (<u32>load<u8>(at) == 0x0a) {
      line++;
      column = 1;
    }
  }
  reportError("the configuration is not valid JSON at line " + decimal(line) + ", column " + decimal(column));
  return changetype<Json>(0);
}

/** The value of the item or member that starts at `at`; absent at the end of the list. */
function itemAt(at: usize): Json {
  const byte: u32 = load<u8>(at);
  if (byte == 0x5d || byte == 0x7d) return changetype<Json>(0);
  if (byte == QUOTE) {
    const after = skipSpace(skipString(at));
    if (byteAt(after) == 0x3a) return changetype<Json>(skipSpace(after + 1));
  }
  return changetype<Json>(at);
}

/** Such as "rules[3].port": the way from the value at `from` down to the one at `target`. */
function pathTo(from: usize, target: usize): string {
  let path = "";
  let container = changetype<Json>(from);
  while (changetype<usize>(container) != target && (container.isArray || container.isObject)) {
    let index = 0;
    let item = container.first;
    while (item.isPresent && skipValue(changetype<usize>(item)) <= target) {
      index++;
      item = item.next;
    }
    if (!item.isPresent) break;
    if (container.isArray) path += "[" + decimal(index) + "]";
    else path += (path.length == 0 ? "" : ".") + item.key;
    container = item;
  }
  return path;
}

// Strings. Messages are short: these take less code than the library's functions, which every plugin with a configuration has.

/** A number as text. */
export function decimal(value: i64): string {
  let rest: u64 = value < 0 ? -<u64>value : <u64>value;
  let text = "";
  do {
    text = String.fromCharCode(0x30 + <i32>(rest % 10)) + text;
    rest /= 10;
  } while (rest != 0);
  return value < 0 ? "-" + text : text;
}

/** Writes UTF-8 (RFC 3629), no more than `room` bytes and whole characters only. @returns how many bytes */
function encode(text: string, to: usize, room: u32): u32 {
  let size: u32 = 0;
  for (let i = 0; i < text.length; i++) {
    const code = <u32>text.codePointAt(i);
    const bytes: u32 = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (size + bytes > room) break;
    if (bytes == 4) i++; // a pair of surrogates
    // The first byte says in its high bits how many there are, those behind it have six bits each.
    for (let left = bytes, bits = code; left > 1; bits >>= 6) store<u8>(to + size + --left, 0x80 | bits & 0x3f);
    store<u8>(to + size, bytes == 1 ? code : 0xf00 >>> bytes | code >>> (bytes - 1) * 6);
    size += bytes;
  }
  return size;
}

function readPrefix(quote: usize, into: Prefix): bool {
  const end = skipString(quote) - 1;
  let slash = quote + 1;
  while (slash < end && <u32>load<u8>(slash) != 0x2f) slash++;
  const address4 = parseAddress4(quote + 1, slash);
  if (address4 >= 0) {
    into.address4 = <u32>address4;
    into.family = 4;
  } else if (parseAddress6(quote + 1, slash, into.address6)) {
    into.family = 6;
  } else {
    return false;
  }
  into.length = into.family == 4 ? 32 : 128;
  if (slash == end) return true;
  let length: u32 = 0;
  for (let at = slash + 1; at < end; at++) {
    const digit = <u32>load<u8>(at) - 0x30;
    if (digit >= 10 || end - slash > 4) return false;
    length = length * 10 + digit;
  }
  if (slash + 1 == end || length > into.length) {
    into.family = 0;
    return false;
  }
  into.length = length;
  return true;
}
