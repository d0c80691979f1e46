import {
  fragment,
  icmp,
  icmpv6,
  ipv4,
  ipv6,
  type Layer,
  options,
  type Part,
  packet,
  sctp,
  srh,
  tcp,
  udp,
} from "@sluice/sdk/testing";
import type { Random } from "./random.js";

/** Few, so that packets meet services, rules, SIDs and each other's flows. */
export interface Places {
  v4: readonly string[];
  v6: readonly string[];
  ports: readonly number[];
}

export interface Made {
  bytes: Uint8Array;
  /** Nothing was spoilt: lengths and checksums are right. */
  intact: boolean;
}

/** Mostly a valid packet with right checksums, of any kind that the plugins look into; now and then spoilt. */
export function randomPacket(random: Random, places: Places): Made {
  const made = packet(...layers(random, places, 1));
  if (!random.rarely(8)) return { bytes: made, intact: true };
  if (random.rarely(2)) return { bytes: made.slice(0, random.below(made.length + 1)), intact: false };
  for (let i = 1 + random.below(4); i > 0; i--) made[random.below(made.length)] = random.below(256);
  return { bytes: made, intact: false };
}

function layers(random: Random, places: Places, depth: number): Part[] {
  const is6 = random.rarely(2);
  const ends = {
    source: random.pick(is6 ? places.v6 : places.v4),
    destination: random.pick(is6 ? places.v6 : places.v4),
  };
  if (!is6) {
    const more = random.rarely(8) ? { options: random.bytes(4 * (1 + random.below(10))) } : {};
    const cut = random.rarely(16) ? { moreFragments: true, fragmentOffset: 8 * random.below(3) } : {};
    return [
      ipv4({ ...ends, ttl: random.pick([64, 1, 0, 255]), ...more, ...cut }),
      ...above(random, places, false, depth),
    ];
  }
  const chain: Layer[] = [];
  if (random.rarely(8)) chain.push(options(0, 8 * (1 + random.below(3))));
  if (random.rarely(4)) chain.push(routing(random, places));
  if (random.rarely(8)) chain.push(options(60, 8 * (1 + random.below(3))));
  if (random.rarely(16)) chain.push(fragment({ offset: 8 * random.below(3), more: random.rarely(2) }));
  return [ipv6({ ...ends, hopLimit: random.pick([64, 1, 0, 255]) }), ...chain, ...above(random, places, true, depth)];
}

function routing(random: Random, places: Places): Layer {
  const segments = Array.from({ length: 1 + random.below(4) }, () => random.pick(places.v6));
  const tlvs = random.rarely(4) ? random.bytes(8 * (1 + random.below(3))) : new Uint8Array();
  return srh({ segments, segmentsLeft: random.below(segments.length), tlvs });
}

function above(random: Random, places: Places, is6: boolean, depth: number): Part[] {
  const ends = { sourcePort: random.pick(places.ports), destinationPort: random.pick(places.ports) };
  const payload = random.bytes(random.rarely(8) ? random.below(1400) : random.below(40));
  switch (random.below(depth > 0 ? 7 : 4)) {
    case 0:
      return [
        tcp({ ...ends, flags: random.pick(["S", "SA", "A", "PA", "FA", "R", "", "FSRPAUEC"]), ...tcpOptions(random) }),
        payload,
      ];
    case 1:
      return [udp({ ...ends, ...(!is6 && random.rarely(4) ? { checksum: 0 } : {}) }), payload];
    case 2:
      return [sctp(ends), payload];
    case 3:
      return [
        is6
          ? icmpv6({ type: 128 + random.below(2), identifier: random.below(4) })
          : icmp({ type: 8 * random.below(2), identifier: random.below(4) }),
        payload,
      ];
    case 4: {
      const quoted = packet(...layers(random, places, 0));
      const code = { code: random.below(6), sequence: random.below(1500) };
      const shown = quoted.slice(0, random.rarely(4) ? random.below(quoted.length + 1) : 500);
      return [
        is6 ? icmpv6({ type: 1 + random.below(4), ...code }) : icmp({ type: random.pick([3, 11, 12]), ...code }),
        shown,
      ];
    }
    default:
      return layers(random, places, depth - 1);
  }
}

function tcpOptions(random: Random): { options?: Uint8Array } {
  return random.rarely(2) ? { options: random.bytes(4 * random.below(11)) } : {};
}
