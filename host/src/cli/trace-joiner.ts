import { innerPacket } from "./inner.js";
import { rewritten } from "./packets.js";
import type { NamedPacket } from "./views/trace.js";

/** A packet's way through one node. */
export interface Leg {
  readonly node: string;
  readonly packet: NamedPacket;
}

interface Part extends Leg {
  readonly hopsLeft: number;
  /** It came in, and left, inside what carries it from one node to another. */
  readonly cameCarried: boolean;
  readonly leftCarried: boolean;
}

interface Journey {
  /** In the order of the packet's way: each node takes one of the hops that are left. */
  readonly legs: readonly Part[];
  /** Of the inner packet as it came in and left, at each of the nodes. */
  readonly identities: ReadonlySet<string>;
  /** When the last leg was added, ms. */
  readonly changedAt: number;
}

/**
 * Puts together what nodes tell of the same packet: as it left one, so it came in at another, looked at without what
 * carried it. Nodes' clocks are not compared, and legs may be told in any order.
 */
export class TraceJoiner {
  #open: Journey[] = [];

  /** @param now ms, of any clock that does not go back */
  add(leg: Leg, now: number): void {
    const begins = innerPacket(leg.packet.packetHex);
    const ends = innerPacket(lastBytes(leg.packet));
    let journey: Journey = {
      legs: [
        {
          ...leg,
          hopsLeft: begins?.hopsLeft ?? 0,
          cameCarried: begins?.isCarried ?? false,
          leftCarried: ends?.isCarried ?? false,
        },
      ],
      identities: new Set([begins, ends].flatMap((packet) => packet?.identity ?? [])),
      changedAt: now,
    };
    for (let part = this.#take(journey); part !== undefined; part = this.#take(journey)) {
      journey = {
        legs: [...part.legs, ...journey.legs].sort((a, b) => b.hopsLeft - a.hopsLeft),
        identities: new Set([...part.identities, ...journey.identities]),
        changedAt: now,
      };
    }
    this.#open.push(journey);
  }

  /**
   * The journeys to which nothing was added since `before`, oldest first; they are handed out once.
   * @param partialBefore of those that another node has to tell more of
   */
  settled(before: number, partialBefore = before): Leg[][] {
    const done = this.#open.filter((journey) => journey.changedAt <= (isWhole(journey) ? before : partialBefore));
    this.#open = this.#open.filter((journey) => !done.includes(journey));
    return done.map(({ legs }) => legs.map(({ node, packet }) => ({ node, packet })));
  }

  /** The oldest that is a part of the same way: the same packet on other nodes, as one does not come to a node twice. */
  #take({ legs, identities }: Journey): Journey | undefined {
    const nodes = new Set(legs.map(({ node }) => node));
    const found = this.#open.find(
      (other) =>
        [...other.identities].some((identity) => identities.has(identity)) &&
        other.legs.every(({ node }) => !nodes.has(node)),
    );
    if (found !== undefined) this.#open.splice(this.#open.indexOf(found), 1);
    return found;
  }
}

const isWhole = ({ legs }: Journey): boolean => legs[0]?.cameCarried === false && legs.at(-1)?.leftCarried === false;

function lastBytes({ packetHex, steps }: NamedPacket): string {
  return steps.reduce((bytes, { rewrites = [] }) => rewritten(bytes, rewrites), packetHex);
}
