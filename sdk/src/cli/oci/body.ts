import { createHash } from "node:crypto";

/** An answer's content; undefined when it has more than `maxBytes`, of which no more is read. Throws as fetch does. */
export async function readBody(reply: Response, maxBytes: number): Promise<Uint8Array | undefined> {
  if (Number(reply.headers.get("content-length") ?? 0) > maxBytes) {
    await reply.body?.cancel();
    return undefined;
  }
  const parts: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop early ends the connection.
  for await (const part of reply.body ?? []) {
    length += part.length;
    if (length > maxBytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** @param digest "sha256:" and hex */
export const checkDigest = (bytes: Uint8Array, digest: string): boolean =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}` === digest;
