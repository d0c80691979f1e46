import { parseAddress } from "../config/addresses.js";

export type Family = 4 | 6;

/** @returns undefined for what is no address */
export function familyOf(address: string): Family | undefined {
  return parseAddress(address)?.family;
}

/** The first of them that is of the family. */
export function ofFamily(addresses: readonly string[], family: Family): string | undefined {
  return addresses.find((address) => familyOf(address) === family);
}
