import { Json } from "./json";

/** Ports from `first` to `last`, 1 to 65535. */
@unmanaged
export class PortRange {
  /** The lowest port. */
  first: u32;
  /** The highest port; `first` for a single one. */
  last: u32;
}

/** Reads a port such as 443 or a range such as "8000-8099" from the configuration. False when it is absent or none. */
export function readPorts(value: Json, into: PortRange): bool {
  into.first = into.last = 0;
  if (!value.isPresent) return false;
  if (value.isNumber) {
    into.first = into.last = <u32>value.integer(1, 65535);
    return into.first != 0;
  }
  const parts = value.isString ? value.text().split("-") : new Array<string>();
  const first = parts.length == 2 ? parsePort(parts[0]) : 0;
  const last = parts.length == 2 ? parsePort(parts[1]) : 0;
  if (first == 0 || last < first) {
    value.fail('must be a port from 1 to 65535 or a range such as "8000-8099"');
    return false;
  }
  into.first = first;
  into.last = last;
  return true;
}

/** 0 when it is none. */
function parsePort(text: string): u32 {
  let value: u32 = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = <u32>text.charCodeAt(i) - 48;
    if (digit > 9 || text.length > 5) return 0;
    value = value * 10 + digit;
  }
  return value > 65535 ? 0 : value;
}
