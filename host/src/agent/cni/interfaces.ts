import { isName } from "../../config/values.js";
import { INTERFACE_KINDS, type InterfaceKind, type PodInterface } from "../../ipam/attachment.js";
import { CNI_CODE, CniError } from "./errors.js";

/** The kind of the pod's own interface; "tap" where absent. */
export const INTERFACE_ANNOTATION = "sluice.dev/interface";
/** Interfaces besides: "net1=tap,net2=memif". */
export const INTERFACES_ANNOTATION = "sluice.dev/interfaces";

/**
 * A pod's interfaces as its annotations ask for them, its own first.
 * @throws CniError when they ask for what can't be
 */
export function interfacesOf(
  annotations: Readonly<Record<string, string>>,
  ifname: string,
): Omit<PodInterface, "addresses">[] {
  const own = { name: ifname, kind: kindOf(annotations[INTERFACE_ANNOTATION] ?? "tap", INTERFACE_ANNOTATION) };
  const parts = (annotations[INTERFACES_ANNOTATION] ?? "").split(",").map((part) => part.trim());
  const others = parts.filter((part) => part !== "").map(parsePart);
  const interfaces = [own, ...others];
  for (const [index, { name }] of interfaces.entries()) {
    if (interfaces.findIndex((other) => other.name === name) !== index)
      throw refused(INTERFACES_ANNOTATION, `${name} twice`);
  }
  return interfaces;
}

function parsePart(part: string): Omit<PodInterface, "addresses"> {
  const { name, kind } = /^(?<name>[^=]+)=(?<kind>.+)$/.exec(part)?.groups ?? {};
  if (name === undefined || kind === undefined || !isName(name) || name.length > 15) {
    throw refused(INTERFACES_ANNOTATION, part);
  }
  return { name, kind: kindOf(kind, INTERFACES_ANNOTATION) };
}

function kindOf(text: string, annotation: string): InterfaceKind {
  const kind = INTERFACE_KINDS.find((known) => known === text);
  if (kind === undefined) throw refused(annotation, text);
  return kind;
}

function refused(annotation: string, found: string): CniError {
  const kinds = INTERFACE_KINDS.join(", ");
  const allowed =
    annotation === INTERFACE_ANNOTATION
      ? `one of ${kinds}`
      : `NAME=KIND with commas between, each name once, up to 15 characters; kinds: ${kinds}`;
  return new CniError(
    CNI_CODE.invalidConfiguration,
    `annotation ${annotation} of the pod: found ${found}; allowed: ${allowed}`,
  );
}
