import { z } from "zod";
import type { ObjectMeta } from "../kube/api.js";
import type { IpamState } from "./ipam-state.js";

/**
 * Annotation of a Node: its id and blocks. It is written before etcd is, so that an etcd that was lost, or set back to an
 * earlier day, gives nobody what pods of another node still use.
 */
export const GRANTED = "sluice.dev/granted";

const schema = z.object({
  id: z.int().optional(),
  /** By pool, in CIDR form. */
  blocks: z.record(z.string(), z.array(z.string())).default({}),
});

export type Granted = z.output<typeof schema>;

/** Of objects that did not change it is read once. */
const read = new WeakMap<object, Granted>();

/** What a Node's annotation says; nothing where there is none, or it can't be read. */
export function grantedOf(metadata: Pick<ObjectMeta, "annotations">): Granted {
  const granted = read.get(metadata) ?? parse(metadata.annotations?.[GRANTED]);
  read.set(metadata, granted);
  return granted;
}

function parse(text: string | undefined): Granted {
  if (text === undefined) return { blocks: {} };
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof z.ZodError)) throw error;
    return { blocks: {} }; // somebody else's text: it is written over
  }
}

/** The annotation's value: the same for the same content. Undefined where there is nothing to say. */
export function grantedText({ id, blocks }: Granted): string | undefined {
  const sorted = Object.entries(blocks)
    .filter(([, list]) => list.length > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([pool, list]) => [pool, [...list].sort()] as const);
  if (id === undefined && sorted.length === 0) return undefined;
  return JSON.stringify({ ...(id === undefined ? {} : { id }), blocks: Object.fromEntries(sorted) });
}

/** What etcd holds, by node. */
export function heldByNode(state: IpamState): Map<string, Granted> {
  const held = new Map<string, Granted>();
  const of = (node: string) => {
    const found = held.get(node) ?? { blocks: {} };
    held.set(node, found);
    return found;
  };
  for (const [node, id] of state.nodeIds) of(node).id = id;
  for (const { node, pool, block } of state.blocks.values()) {
    const { blocks } = of(node);
    blocks[pool] = [...(blocks[pool] ?? []), block];
  }
  return held;
}
