import type { End, PacketEvent } from "../observe/event.js";
import { clock, TABLE_WIDTH, wrap } from "../output.js";
import { endpoint } from "../packets.js";

/** An event in one line, as long as it fits. */
export function eventText(event: PacketEvent): string {
  const { at, node, verdict, source, destination, protocol, detail, length, port, carried, reason, stage } = event;
  const way = `${endText(source)} > ${endText(destination)}`;
  const why = reason === undefined ? "" : `${reason}${stage === undefined ? "" : ` by stage ${stage}`}`;
  const size = length === undefined ? "" : `${length} bytes`;
  const parts = [clock(at), node, verdict, why, way, protocol, detail, size, placeOf(verdict, port, carried)];
  return wrap(parts.filter((part) => part !== "").join("  "), 14, TABLE_WIDTH);
}

/** Names instead of addresses where there are some. */
export function endText({ address, port, kind, name }: End): string {
  if (name === undefined) return port === undefined ? address : endpoint(address, port);
  const owner = kind === "pod" ? name : `${kind}:${name}`;
  return port === undefined ? owner : `${owner}:${port}`;
}

function placeOf(verdict: PacketEvent["verdict"], port: string | undefined, carried: boolean | undefined): string {
  if (port === undefined || port === "") return "";
  const way = verdict === "dropped" ? "in by" : "to";
  return `${way} ${port}${carried === true ? " (carried)" : ""}`;
}
