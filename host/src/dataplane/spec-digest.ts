import { createHash } from "node:crypto";
import type { NodeSpec } from "../config/schema.js";

/**
 * Of a node as parseNodeSpec() or Update has made it, in hex: who sends states and who has them compare by it, without sending 16 MB in
 * a large cluster. The order of the lists does not count, as it does not in differences.
 */
export function specDigest({ ports, routes, neighbours, plugins, ...settings }: NodeSpec): string {
  const hash = createHash("sha256").update(JSON.stringify(settings));
  for (const list of [ports, routes, neighbours, plugins]) {
    const texts: string[] = list.map((item) => JSON.stringify(item));
    hash.update(`\n${list.length}`);
    for (const text of texts.sort()) hash.update(text);
  }
  return hash.digest("hex");
}
