import type { CapturedPacket } from "../../dataplane/protocol.js";
import { clock, wrap } from "../output.js";
import { frameSummary } from "../packets.js";

/** A captured packet in one line, as long as it fits. */
export function capturedText({ seconds, nanoseconds, point, port, bytes, length, reason }: CapturedPacket): string {
  const time = clock(1000 * seconds + nanoseconds / 1e6);
  const why = reason === undefined ? "" : `  ${reason}`;
  return wrap(`${time}  ${point} ${port}  ${frameSummary(bytes)}  ${length} bytes${why}`, 14);
}

/** For programs: the time as nanoseconds in a string, the bytes in hex. */
export function capturedJson({ seconds, nanoseconds, bytes, ...packet }: CapturedPacket) {
  const at = (BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)).toString();
  return { at, ...packet, summary: frameSummary(bytes), bytes: Buffer.from(bytes).toString("hex") };
}
