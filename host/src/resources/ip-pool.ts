import { z } from "zod";
import { parsePrefix } from "../config/addresses.js";
import { flag, integer, prefix } from "../config/values.js";
import { celRules } from "./cel.js";

/** Lengths of blocks' prefixes where the pool says none: 64 addresses. */
const DEFAULT_BLOCK_SIZE = { 4: 26, 6: 122 } as const;
const LONGEST = { 4: 32, 6: 128 } as const;

/** Addresses of pods. Nodes get blocks of it, pods get addresses of their node's blocks. */
export const ipPoolSpec = z
  .object({
    cidr: prefix.max(43).describe("All addresses of the pool, IPv4 or IPv6. It can't be changed."),
    blockSize: integer(4, 128, "length of the prefix that a node gets at a time")
      .optional()
      .describe(
        "Length of a block's prefix; where absent 26 for IPv4 and 122 for IPv6, or the pool's own if that is longer. It can't be changed.",
      ),
    disabled: flag
      .default(false)
      .describe(
        "Nothing new is given out of a disabled pool; what is in use stays. New pods still need an address of its family, from another pool.",
      ),
  })
  .superRefine(({ cidr, blockSize }, context) => {
    const pool = parsePrefix(cidr);
    if (pool === undefined || blockSize === undefined) return; // the fields' own checks say so
    const longest = LONGEST[pool.family];
    if (blockSize >= pool.length && blockSize <= longest) return;
    const message = `a whole number from ${pool.length} (the pool's own length) to ${longest}`;
    context.addIssue({ code: "custom", path: ["blockSize"], message });
  })
  .meta(
    celRules(
      {
        rule: "isCIDR(self.cidr) && cidr(self.cidr) == cidr(self.cidr).masked()",
        message: "a prefix such as 10.0.0.0/16 or fd00::/48, with no bits set after its length",
        fieldPath: ".cidr",
      },
      {
        rule: "!has(self.blockSize) || !isCIDR(self.cidr) || (self.blockSize >= cidr(self.cidr).prefixLength() && (cidr(self.cidr).ip().family() == 6 || self.blockSize <= 32))",
        message: "not shorter than the pool's own prefix, and not longer than an address",
        fieldPath: ".blockSize",
      },
      {
        rule: "self.cidr == oldSelf.cidr",
        message: "can't be changed: nodes have addresses of it; make another IPPool",
        fieldPath: ".cidr",
      },
      {
        rule: "has(self.blockSize) == has(oldSelf.blockSize) && (!has(self.blockSize) || self.blockSize == oldSelf.blockSize)",
        message: "can't be changed: nodes have blocks of it; make another IPPool",
        fieldPath: ".blockSize",
      },
    ),
  );

export type IpPoolSpec = z.output<typeof ipPoolSpec>;

/** The length of the pool's blocks. */
export function blockSizeOf({ cidr, blockSize }: IpPoolSpec): number {
  const pool = parsePrefix(cidr);
  return blockSize ?? Math.max(pool?.length ?? 0, DEFAULT_BLOCK_SIZE[pool?.family ?? 4]);
}
