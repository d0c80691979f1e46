import { mix } from "@sluice/sdk";

/** The hash of an empty text. */
export const NAME_SEED: u64 = 0x9e3779b97f4a7c15;
/** Labels of a suffix, at most; of a longer host name only the last labels can be those of a suffix. */
export const MAX_LABELS = 8;

/** Marks of a name in the table: it may be asked for; names below it may. */
export const EXACT: u32 = 1;
export const BELOW: u32 = 2;

/** The hash of a text and one more character, the same for upper and lower case. */
// @ts-ignore: decorator
@inline export function addCharacter(hash: u64, character: u32): u64 {
  return mix(hash ^ <u64>(character - 0x41 < 26 ? character | 0x20 : character));
}

/** A letter, a digit, a hyphen or an underscore. */
// @ts-ignore: decorator
@inline export function isLabelCharacter(character: u32): bool {
  return (character | 0x20) - 0x61 < 26 || character - 0x30 < 10 || character == 0x2d || character == 0x5f;
}

/** 0 for what is no host name: labels have 1 to 63 characters, a name at most 253 (RFC 1035, section 2.3.4). */
export function hashName(name: string): u64 {
  const labels = name.split(".");
  if (name.length > 253) return 0;
  for (let i = 0; i < labels.length; i++) {
    if (labels[i].length < 1 || labels[i].length > 63) return 0;
    for (let j = 0; j < labels[i].length; j++) if (!isLabelCharacter(labels[i].charCodeAt(j))) return 0;
  }
  let hash = NAME_SEED;
  for (let i = 0; i < name.length; i++) hash = addCharacter(hash, name.charCodeAt(i));
  return hash;
}
