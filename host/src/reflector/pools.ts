import { type AddressRange, overlap, rangeOf } from "../cluster/blocks.js";
import type { IpPoolRecord, NodeRecord } from "../cluster/records.js";
import { parseAddress } from "../config/addresses.js";
import { formatProblem } from "../errors.js";
import type { Member } from "./roster.js";

/** Why nothing is given out of a pool: a condition's reason and message. */
export interface Refusal {
  readonly reason: "Invalid" | "Overlaps" | "HoldsNodeAddress";
  readonly message: string;
}

export interface CheckedPools {
  /** Blocks are given out of these. */
  readonly open: readonly IpPoolRecord[];
  readonly refused: ReadonlyMap<string, Refusal>;
}

/** Of pools that overlap the oldest holds, then the first by name: a new one takes nothing from one that is in use. */
export function checkPools(pools: Iterable<Member<IpPoolRecord>>, nodes: Iterable<Member<NodeRecord>>): CheckedPools {
  const refused = new Map<string, Refusal>();
  const accepted: { record: IpPoolRecord; range: AddressRange }[] = [];
  const addresses = [...nodes].flatMap(({ record }) =>
    (record?.addresses ?? []).flatMap((text) => hostRange(record?.name ?? "", text)),
  );
  for (const { metadata, record, error } of [...pools].sort(byAge)) {
    if (error !== undefined) {
      refused.set(metadata.name, { reason: "Invalid", message: error.problems.map(formatProblem).join("; ") });
    }
    if (record === undefined) continue;
    const range = rangeOf(record.spec.cidr);
    const other = accepted.find((one) => overlap(one.range, range))?.record;
    const address = addresses.find((one) => overlap(one.range, range));
    if (other !== undefined) {
      refused.set(record.name, {
        reason: "Overlaps",
        message: `/spec/cidr: ${record.spec.cidr} overlaps ${other.spec.cidr} of the older IPPool ${other.name}; delete one of them`,
      });
    } else if (address !== undefined) {
      refused.set(record.name, {
        reason: "HoldsNodeAddress",
        message: `/spec/cidr: ${record.spec.cidr} holds ${address.text}, the address of node ${address.node}; pods need addresses of their own`,
      });
    } else accepted.push({ record, range });
  }
  const open = accepted.map(({ record }) => record).filter(({ spec }) => !spec.disabled);
  return { open, refused };
}

function byAge(a: Member<IpPoolRecord>, b: Member<IpPoolRecord>): number {
  const key = ({ metadata }: Member<IpPoolRecord>) => `${metadata.creationTimestamp ?? ""} ${metadata.name}`;
  return key(a) < key(b) ? -1 : 1;
}

function hostRange(node: string, text: string): { node: string; text: string; range: AddressRange }[] {
  const address = parseAddress(text);
  return address === undefined ? [] : [{ node, text, range: rangeOf(`${text}/${address.bytes.length * 8}`) }];
}
