import { LruTable, mixPair, now, Packet } from "@sluice/sdk";
import { choiceOf } from "./maglev";
import { backends, Service, ServiceKey } from "./tables";

// Clients go to backends by the hash of their address: all workers and all nodes send one client to the same backend without
// having to ask each other. Where a worker sent its clients it remembers for as long as the service says, so that they stay
// there when backends come.

/** A client of a service. */
@unmanaged
class Client {
  high: u64;
  low: u64;
  /** Hash of the service's address, port and protocol. */
  service: u64;
}

/** Where it was sent. */
@unmanaged
class Stay {
  high: u64;
  low: u64;
  /** Nanoseconds, on the monotonic clock. */
  until: u64;
  port: u32;
}

/** 80 bytes each. */
const CLIENTS: u32 = 65536;
const NOWHERE: u32 = 0xffffffff;

const stays = new LruTable<Client, Stay>(CLIENTS);
const client = new Client();

/** The backend of a client's new flow, by its number among the service's. The service has choices. */
export function stickyChoice(packet: Packet, service: Service, key: ServiceKey): u32 {
  if (packet.isIpv6) {
    const source = packet.ipv6.source;
    client.high = source.high;
    client.low = source.low;
  } else {
    client.high = 0;
    client.low = packet.ipv4.source;
  }
  client.service = mixPair(mixPair(key.high, key.low), key.kind);
  const time = now();
  const known = stays.find(client);
  let choice = known && known.until > time ? numberOf(service, known) : NOWHERE;
  if (choice == NOWHERE) choice = choiceOf(service, <u32>mixPair(client.high, client.low));
  const backend = backends.at(service.firstBackend + choice);
  const stay = known ? known : stays.add(client);
  stay.high = backend.high;
  stay.low = backend.low;
  stay.port = backend.port;
  stay.until = time + <u64>service.affinitySeconds * 1000000000;
  return choice;
}

/** NOWHERE when the service has it no more, or sends it no new flows. */
function numberOf(service: Service, stay: Stay): u32 {
  for (let i: u32 = 0; i < service.backends; i++) {
    const backend = backends.at(service.firstBackend + i);
    const isIt = backend.low == stay.low && backend.high == stay.high && backend.port == stay.port;
    if (isIt) return backend.weight == 0 ? NOWHERE : i;
  }
  return NOWHERE;
}
