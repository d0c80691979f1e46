import type { Names } from "../cluster/names.js";
import { innerPacket } from "../inner.js";
import { NARROW_WIDTH, wrap } from "../output.js";
import type { Leg } from "../trace-joiner.js";
import { endText } from "./event.js";
import { traceText } from "./trace.js";

/** A packet's way through the nodes, one after the other. @param isVerbose with checksums and the packet's bytes */
export function journeyText(
  number: number,
  legs: readonly Leg[],
  names: Pick<Names, "of">,
  isVerbose: boolean,
): string {
  const way = legs.map(({ node }) => node).join(" -> ");
  const [first] = legs;
  const what = first === undefined ? "" : endsText(first.packet.packetHex, names);
  const head = wrap([`packet ${number}`, what, way].filter((part) => part !== "").join("  "), 2, NARROW_WIDTH);
  return [head, ...legs.flatMap(({ node, packet }) => [`node ${node}:`, traceText(packet, isVerbose)])].join("\n");
}

/** Who speaks with whom, by name; empty where nobody has one. */
function endsText(packetHex: string, names: Pick<Names, "of">): string {
  const inner = innerPacket(packetHex);
  if (inner === undefined) return "";
  const owners = [names.of(inner.source), names.of(inner.destination)];
  if (owners.every((owner) => owner === undefined)) return "";
  const text = (address: string, port: number | undefined) =>
    endText({ address, ...(port === undefined ? {} : { port }), ...names.of(address) });
  return `${text(inner.source, inner.sourcePort)} > ${text(inner.destination, inner.destinationPort)}`;
}
