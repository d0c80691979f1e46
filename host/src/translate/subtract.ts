import { contains, formatPrefix, type IpPrefix, networkOf, parsePrefix } from "../config/addresses.js";

/**
 * The prefixes that `prefix` is made of once the excepted ones are taken out, in order.
 * What is no prefix takes nothing out; a `prefix` that is none is empty.
 */
export function subtractPrefixes(prefix: string, except: readonly string[]): string[] {
  const whole = parsePrefix(prefix);
  if (whole === undefined) return [];
  const holes = except.flatMap((text) => parsePrefix(text) ?? []).map(networkOf);
  return holes
    .reduce((parts, hole) => parts.flatMap((part) => without(part, hole)), [networkOf(whole)])
    .map(formatPrefix);
}

function without(part: IpPrefix, hole: IpPrefix): IpPrefix[] {
  if (hole.length <= part.length) return contains(hole, part) ? [] : [part];
  if (!contains(part, hole)) return [part];
  const [low, high] = halves(part);
  return [...without(low, hole), ...without(high, hole)];
}

function halves({ family, bytes, length }: IpPrefix): [IpPrefix, IpPrefix] {
  const upper = bytes.map((byte, index) => (index === length >> 3 ? byte | (0x80 >> (length & 7)) : byte));
  return [
    { family, bytes, length: length + 1 },
    { family, bytes: upper, length: length + 1 },
  ];
}
