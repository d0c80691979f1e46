import "./manifest";
import { Batch, Counter, CtState, dropReason, DropReason, generation, Packet, renewReply } from "@sluice/sdk";
import { stickyChoice } from "./affinity";
import { choiceOf } from "./maglev";
import { beginPorts, choosePort, NO_PORT } from "./source-ports";
import { DESTINATION, DESTINATION_DECIDED, SOURCE, SOURCE_DECIDED, Translation } from "./state";
import {
  backends, NO_SERVICE, options, pools, prefixes, Service, serviceByKey, ServiceKey, services,
  sourceRules, virtualAddresses
} from "./tables";
import { translateDestination, translateSource } from "./translate";
export { build } from "./configure";

const serviceFlows = new Counter("service_flows", "Flows sent to a backend");
const sourceFlows = new Counter("source_flows", "Flows whose source is translated");
const hairpinFlows = new Counter("hairpin_flows", "Flows of a backend that called its own service and got itself");
const reselectedFlows = new Counter("reselected_flows", "Flows sent to another backend since theirs is gone");

const notServed = dropReason("service-port-closed", "To a service's address, but no service is there");
const untracked = dropReason("service-untracked", "To a service's address, without a connection");
const backendRemoved = dropReason("backend-removed", "Its connection's backend is gone");
const noHairpin = dropReason("no-hairpin-address", "A backend got itself, and there is no hairpin address of its family");
const noSourcePort = dropReason("source-ports-taken", "All source ports of its range that were tried are other flows'");
const untranslatable = dropReason("untranslatable", "A field to translate is not in the packet's readable part");

const key = new ServiceKey();

@hook("prerouting")
export function prerouting(batch: Batch): void {
  const current = generation();
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    const translation = packet.flow<Translation>();
    const state = packet.ctState;
    if (state == CtState.INVALID || !packet.hasFlow) {
      refuseUntracked(packet);
    } else if (packet.isReply) {
      if (translation.has(SOURCE) && !translateDestination(packet, translation, true)) packet.drop(untranslatable);
      else packet.settle();
    } else {
      const isStale = (!translation.has(DESTINATION_DECIDED) || !translation.isOf(current)) && state != CtState.RELATED;
      if (isStale && !decide(packet, translation, state == CtState.NEW)) continue;
      if (translation.has(DESTINATION) && !translateDestination(packet, translation, false)) packet.drop(untranslatable);
      else if (state == CtState.ESTABLISHED) packet.settle();
    }
  }
}

@hook("postrouting")
export function postrouting(batch: Batch): void {
  beginPorts();
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    const translation = packet.flow<Translation>();
    const state = packet.ctState;
    if (state == CtState.INVALID || !packet.hasFlow) continue;
    if (packet.isReply) {
      if (translation.has(DESTINATION) && !translateSource(packet, translation, false)) packet.drop(untranslatable);
      else packet.settle();
      continue;
    }
    const isOpen = !translation.has(SOURCE_DECIDED) && state != CtState.RELATED;
    if (isOpen && (state == CtState.NEW || translation.has(DESTINATION_DECIDED)) && !decideSource(packet)) continue;
    if (translation.has(SOURCE) && !translateSource(packet, translation, true)) packet.drop(untranslatable);
    else if (state == CtState.ESTABLISHED) packet.settle();
  }
}

/** What a service answers to the node itself has its address again, as postrouting gives it to all others. */
@hook("input")
export function input(batch: Batch): void {
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    if (packet.ctState == CtState.INVALID || !packet.hasFlow || !packet.isReply) continue;
    const translation = packet.flow<Translation>();
    if (translation.has(DESTINATION) && !translateSource(packet, translation, false)) packet.drop(untranslatable);
  }
}

function setKey(packet: Packet, isPort: bool): void {
  const protocol = isPort ? packet.protocol : 0;
  const port = isPort ? packet.destinationPort : 0;
  if (packet.isIpv6) {
    const destination = packet.ipv6.destination;
    key.set(6, destination.high, destination.low, protocol, port);
  } else {
    key.set(4, 0, packet.ipv4.destination, protocol, port);
  }
}

/** Nothing but tracked packets goes to an address that only services have. */
function refuseUntracked(packet: Packet): void {
  setKey(packet, false);
  if (virtualAddresses.get(key, 0) != 0) packet.drop(untracked);
}

/**
 * Checks a flow against a configuration that it has not met: a new one may get a backend, and one with a backend may have
 * lost it. False when the packet is dropped.
 */
function decide(packet: Packet, translation: Translation, isNew: bool): bool {
  if (translation.has(DESTINATION)) return checkBackend(packet, translation);
  if (!isNew) {
    // Without a translation when it was answered: it stays so.
    const untouched = packet.updateFlow<Translation>();
    if (!untouched.has(DESTINATION_DECIDED)) untouched.word |= DESTINATION_DECIDED | SOURCE_DECIDED;
    untouched.setGeneration(generation());
    return true;
  }
  setKey(packet, true);
  const number = serviceByKey.get(key, NO_SERVICE);
  if (number != NO_SERVICE) return chooseBackend(packet, services.at(number), translation.has(DESTINATION_DECIDED));
  setKey(packet, false);
  if (virtualAddresses.get(key, 0) != 0) {
    packet.drop(notServed);
    return false;
  }
  const updated = packet.updateFlow<Translation>();
  updated.word |= DESTINATION_DECIDED;
  updated.setGeneration(generation());
  return true;
}

/** `isRenewed`: the flow has left before, to another place. */
function chooseBackend(packet: Packet, service: Service, isRenewed: bool): bool {
  if (service.choices == 0) {
    packet.drop(DropReason.NoBackend);
    return false;
  }
  const choice = service.affinitySeconds == 0 ? choiceOf(service, packet.hash) : stickyChoice(packet, service, key);
  const backend = backends.at(service.firstBackend + choice);
  const updated = packet.updateFlow<Translation>();
  if (packet.isIpv6) {
    const destination = packet.ipv6.destination;
    updated.destinationHigh = destination.high ^ backend.high;
    updated.destinationLow = destination.low ^ backend.low;
  } else {
    updated.destinationLow = <u64>packet.ipv4.destination ^ backend.low;
  }
  updated.destinationPort = <u16>(packet.destinationPort ^ backend.port);
  updated.word = DESTINATION_DECIDED | DESTINATION;
  updated.setGeneration(generation());
  if (isRenewed) {
    renewReply(packet);
    reselectedFlows.add();
  } else {
    serviceFlows.add();
  }
  return true;
}

/** A backend that the service has no more: UDP goes to another at once; connections stay with it, or are dropped. */
function checkBackend(packet: Packet, translation: Translation): bool {
  setKey(packet, true);
  const number = serviceByKey.get(key, NO_SERVICE);
  if (number == NO_SERVICE || !hasBackend(services.at(number), packet, translation)) {
    if (packet.isUdp) {
      if (number != NO_SERVICE) return chooseBackend(packet, services.at(number), true);
      packet.drop(DropReason.NoBackend);
      return false;
    }
    if (options.value.dropsRemoved != 0) {
      packet.drop(backendRemoved);
      return false;
    }
  }
  packet.updateFlow<Translation>().setGeneration(generation());
  return true;
}

function hasBackend(service: Service, packet: Packet, translation: Translation): bool {
  const port = packet.destinationPort ^ <u32>translation.destinationPort;
  const high = key.high ^ translation.destinationHigh;
  const low = key.low ^ translation.destinationLow;
  for (let i: u32 = 0; i < service.backends; i++) {
    const backend = backends.at(service.firstBackend + i);
    if (backend.low == low && backend.high == high && backend.port == port) return true;
  }
  return false;
}

/** Decides once for each flow whether its source is translated. False when the packet is dropped. */
function decideSource(packet: Packet): bool {
  const updated = packet.updateFlow<Translation>();
  const pool = findPool(packet, updated);
  if (pool == REFUSED) {
    packet.drop(noHairpin);
    return false;
  }
  if (pool == 0) {
    updated.word |= SOURCE_DECIDED;
    return true;
  }
  const to = pools.at(pool - 1);
  let own: u32 = 0;
  let peerPort: u32 = 0;
  const isEcho = isEchoRequest(packet);
  if (packet.hasPorts) {
    own = packet.sourcePort;
    peerPort = packet.destinationPort;
  } else if (isEcho) {
    own = packet.icmp.identifier;
  }
  if (packet.hasPorts || isEcho) {
    const port = choosePort(packet, to, own, peerPort);
    if (port == NO_PORT) {
      packet.drop(noSourcePort);
      return false;
    }
    updated.sourcePort = <u16>(own ^ port);
  }
  if (packet.isIpv6) {
    const source = packet.ipv6.source;
    updated.sourceHigh = source.high ^ to.high;
    updated.sourceLow = source.low ^ to.low;
  } else {
    updated.sourceLow = <u64>packet.ipv4.source ^ to.low;
  }
  updated.word |= SOURCE_DECIDED | SOURCE;
  sourceFlows.add();
  return true;
}

function isEchoRequest(packet: Packet): bool {
  return packet.isIcmp && packet.icmp.type == (packet.isIpv6 ? 128 : 8);
}

const REFUSED: u32 = 0xffffffff;

/** Number of the pool + 1 for a flow's source; 0: it stays as it is. */
function findPool(packet: Packet, translation: Translation): u32 {
  const all = options.value;
  if (!options.isSet) return 0;
  const isIpv6 = packet.isIpv6;
  const sourceHigh: u64 = isIpv6 ? packet.ipv6.source.high : 0;
  const sourceLow: u64 = isIpv6 ? packet.ipv6.source.low : packet.ipv4.source;
  const high: u64 = isIpv6 ? packet.ipv6.destination.high : 0;
  const low: u64 = isIpv6 ? packet.ipv6.destination.low : packet.ipv4.destination;
  if (translation.has(DESTINATION)) {
    if (sourceHigh == high && sourceLow == low) {
      hairpinFlows.add();
      const pool = isIpv6 ? all.hairpin6 : all.hairpin4;
      return pool == 0 ? REFUSED : pool;
    }
    const port = packet.destinationPort ^ <u32>translation.destinationPort;
    const family: u32 = isIpv6 ? 6 : 4;
    key.set(family, high ^ translation.destinationHigh, low ^ translation.destinationLow, packet.protocol, port);
    const number = serviceByKey.get(key, NO_SERVICE);
    if (number != NO_SERVICE && services.at(number).pool != 0) return services.at(number).pool;
  }
  for (let i: u32 = 0, n = sourceRules.length; i < n; i++) {
    const rule = sourceRules.at(i);
    if (rule.family != <u32>(isIpv6 ? 6 : 4) || !prefixes.at(rule.source).holds(sourceHigh, sourceLow)) continue;
    let isExcepted = false;
    for (let j: u32 = 0; j < rule.exceptions && !isExcepted; j++) {
      isExcepted = prefixes.at(rule.firstException + j).holds(high, low);
    }
    if (!isExcepted) return rule.pool + 1;
  }
  return 0;
}
