// DER (X.690): an element is its tag, the length of its content, and the content.

/** Tags of RFC 5280's types. */
const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;
const CONTEXT = 0x80;
const CONSTRUCTED = 0x20;

function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([Buffer.of(tag), lengthOf(body.length), body]);
}

/** Up to 127 in one byte; else how many bytes follow, and the length in those, the most significant first. */
function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  const bytes = unsigned(length);
  return Buffer.concat([Buffer.of(0x80 | bytes.length), bytes]);
}

function unsigned(value: number): Buffer {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex");
}

export const sequence = (...content: readonly Uint8Array[]): Buffer => element(TAG.sequence, ...content);
export const set = (...content: readonly Uint8Array[]): Buffer => element(TAG.set, ...content);
export const octetString = (content: Uint8Array): Buffer => element(TAG.octetString, content);
export const utf8String = (text: string): Buffer => element(TAG.utf8String, Buffer.from(text));
export const isTrue = (): Buffer => element(TAG.boolean, Buffer.of(0xff));
/** Of whole bytes. */
export const bitString = (content: Uint8Array): Buffer => element(TAG.bitString, Buffer.of(0), content);
/** A set of named bits, of which `highest` is the last that is set: the bits after it do not count. */
export const namedBits = (byte: number, highest: number): Buffer =>
  element(TAG.bitString, Buffer.of(7 - highest), Buffer.of(byte));

/** @param bytes big-endian, not negative */
export function integer(bytes: Uint8Array): Buffer {
  const isNegative = ((bytes[0] ?? 0) & 0x80) !== 0;
  return element(TAG.integer, ...(isNegative ? [Buffer.of(0)] : []), bytes);
}

/** [number] IMPLICIT of a type without parts, such as a name in a list of names. */
export const implicit = (number: number, content: Uint8Array): Buffer => element(CONTEXT | number, content);
/** [number] EXPLICIT. */
export const explicit = (number: number, content: Uint8Array): Buffer =>
  element(CONTEXT | CONSTRUCTED | number, content);

/** "2.5.29.19": the first two numbers share a byte, the others have seven bits in each. */
export function objectId(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  return element(TAG.objectId, ...[first * 40 + second, ...rest].map(base128));
}

function base128(value: number): Buffer {
  const bytes = [value & 0x7f];
  for (let left = value >>> 7; left > 0; left >>>= 7) bytes.unshift((left & 0x7f) | 0x80);
  return Buffer.from(bytes);
}

/** RFC 5280 4.1.2.5: two digits of the year until 2049, four after that. */
export function time(date: Date): Buffer {
  const digits = `${date.toISOString().slice(0, 19).replace(/[-:T]/g, "")}Z`;
  return date.getUTCFullYear() < 2050
    ? element(TAG.utcTime, Buffer.from(digits.slice(2)))
    : element(TAG.generalizedTime, Buffer.from(digits));
}
