import "./manifest";
import { Batch, Hook } from "@sluice/sdk";
import { encapsulate } from "./encapsulate";
import { endpoint } from "./endpoint";
import { options, sidByPrefix, sids } from "./tables";
export { build } from "./configure";

@hook("prerouting")
export function prerouting(batch: Batch): void {
  const all = options.value;
  if (!options.isSet) return;
  const encapsulates = all.encapsAt == Hook.PREROUTING;
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    const sid = packet.isIpv6 ? sidByPrefix.lookup6(packet.ipv6.destination) : 0;
    if (sid != 0) endpoint(packet, sids.at(sid - 1));
    else if (encapsulates) encapsulate(packet);
  }
}

@hook("postrouting")
export function postrouting(batch: Batch): void {
  const all = options.value;
  if (!options.isSet || all.encapsAt != Hook.POSTROUTING) return;
  for (let i = 0, n = batch.length; i < n; i++) encapsulate(batch.at(i));
}
