import { fieldsOf } from "./describe.js";

/** A field that two packets have different; undefined: one of them does not have it. */
export interface FieldDifference {
  field: string;
  found: string | undefined;
  expected: string | undefined;
}

/** The fields that differ between two packets (hex, from the L3 header), in the order of the packet. */
export function fieldDifferences(expected: string, found: string): FieldDifference[] {
  if (expected === found) return [];
  const a = fieldsOf(Buffer.from(expected, "hex"));
  const b = fieldsOf(Buffer.from(found, "hex"));
  return [...new Set([...a.keys(), ...b.keys()])]
    .filter((field) => a.get(field) !== b.get(field))
    .map((field) => ({ field, found: b.get(field), expected: a.get(field) }));
}

/**
 * What is different between two packets (hex, from the L3 header), one line a field: "tcp.destinationPort is 80, expected
 * 8080". Empty when they are equal.
 */
export function packetDiff(expected: string, found: string): string[] {
  if (expected === found) return [];
  const lines = fieldDifferences(expected, found).map(
    (each) => `${each.field} is ${each.found ?? "absent"}, expected ${each.expected ?? "absent"}`,
  );
  return lines.length > 0 ? lines : [`bytes are ${found}, expected ${expected}`];
}

/**
 * Hex of the rows of 16 bytes that differ between two packets, each byte that does in brackets:
 *
 *     0010  found      0a 00 00 01[0a 60 00 0a]
 *           expected   0a 00 00 01[0a 00 00 07]
 */
export function hexRegion(expected: Uint8Array, found: Uint8Array): string[] {
  const lines: string[] = [];
  for (let at = 0; at < Math.max(expected.length, found.length); at += 16) {
    const [a, b] = [expected.subarray(at, at + 16), found.subarray(at, at + 16)];
    if (Buffer.from(a).equals(b)) continue;
    lines.push(`${at.toString(16).padStart(4, "0")}  found    ${hexRow(b, a)}`);
    lines.push(`      expected ${hexRow(a, b)}`);
  }
  return lines;
}

function hexRow(bytes: Uint8Array, other: Uint8Array): string {
  let text = "";
  let isOpen = false;
  bytes.forEach((byte, i) => {
    const differs = byte !== other[i];
    text += differs && !isOpen ? "[" : isOpen && !differs ? "]" : " ";
    text += byte.toString(16).padStart(2, "0");
    isOpen = differs;
  });
  return isOpen ? `${text}]` : text;
}
