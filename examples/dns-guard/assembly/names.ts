import { hashText, mixPair } from "@sluice/sdk";

export const NAME_SEED: u64 = 0x9e3779b97f4a7c15;
/** The hash of a name from those of its labels, the last label first. */
// @ts-ignore: decorator
@inline export function addLabel(name: u64, label: u64): u64 { return mixPair(name, label); }

/** 0 for what is no name: labels have 1 to 63 characters, a name at most 253 (RFC 1035, section 2.3.4). */
export function hashName(name: string): u64 {
  const labels = (name.endsWith(".") ? name.slice(0, -1) : name).split(".");
  if (name.length > 254) return 0;
  let hash = NAME_SEED;
  for (let i = labels.length - 1; i >= 0; i--) {
    if (!isLabel(labels[i])) return 0;
    hash = addLabel(hash, hashText(labels[i]));
  }
  return hash;
}

function isLabel(label: string): bool {
  if (label.length < 1 || label.length > 63) return false;
  for (let i = 0; i < label.length; i++) {
    if (label.charCodeAt(i) <= 0x20 || label.charCodeAt(i) >= 0x7f) return false;
  }
  return true;
}
