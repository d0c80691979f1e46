import { z } from "zod";
import { integer, prefix } from "../config/values.js";

/** Addresses of pods. Nodes get blocks of it, pods get addresses of their node's blocks. */
export const ipPoolSpec = z.object({
  cidr: prefix.describe("All addresses of the pool, IPv4 or IPv6."),
  blockSize: integer(4, 128, "length of the prefix that a node gets at a time")
    .optional()
    .describe("Length of a block's prefix; 26 for IPv4 and 122 for IPv6 where absent."),
  disabled: z.boolean().default(false).describe("Nothing new is given out of a disabled pool; what is in use stays."),
});

export type IpPoolSpec = z.output<typeof ipPoolSpec>;
