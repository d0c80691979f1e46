import { formatAddress, parseAddress } from "../config/addresses.js";
import type { EndpointSliceRecord } from "./records.js";
import { Shared } from "./shared.js";

type Endpoint = EndpointSliceRecord["endpoints"][number];
type Place = Pick<Endpoint, "node" | "zone">;

const READY = 1;
const SERVING = 2;
const TERMINATING = 4;

const ports = new Shared<EndpointSliceRecord["ports"]>();
const places = new Shared<Place>();
const texts = new Shared<string>();

/**
 * An EndpointSlice of a seventh of its record's size. Its endpoints are one text with a character a byte, which costs 16 bytes more than it
 * has, where a typed array takes 300: each endpoint its flags, the number of its addresses, and these, 4 or 16 bytes each. An address
 * that is none of the slice's family is left out.
 */
export class PackedSlice {
  readonly namespace: string;
  readonly name: string;
  readonly service: string;
  readonly addressType: EndpointSliceRecord["addressType"];
  readonly ports: EndpointSliceRecord["ports"];
  private readonly places: readonly Place[];
  private readonly bytes: string;

  constructor(slice: EndpointSliceRecord) {
    this.namespace = texts.of(slice.namespace, slice.namespace);
    this.name = slice.name;
    this.service = texts.of(slice.service, slice.service);
    this.addressType = slice.addressType;
    this.ports = ports.of(slice.ports);
    this.places = slice.endpoints.map(placeOf);
    const family = slice.addressType === "IPv4" ? 4 : 6;
    const bytes = slice.endpoints.flatMap((endpoint) => bytesOf(endpoint, family));
    this.bytes = Buffer.from(bytes).toString("latin1");
  }

  record(): EndpointSliceRecord {
    const { namespace, name, service, addressType } = this;
    return { namespace, name, service, addressType, ports: this.ports, endpoints: this.endpoints() };
  }

  /** As it is written in etcd and in snapshots. */
  toJSON(): EndpointSliceRecord {
    return this.record();
  }

  private endpoints(): Endpoint[] {
    const bytes = Buffer.from(this.bytes, "latin1");
    const family = this.addressType === "IPv4" ? 4 : 6;
    const size = family === 4 ? 4 : 16;
    let at = 0;
    return this.places.map((place) => {
      const [flags = 0, count = 0] = bytes.subarray(at, at + 2);
      const addresses = Array.from({ length: count }, (_, i) => {
        const start = at + 2 + i * size;
        return formatAddress({ family, bytes: [...bytes.subarray(start, start + size)] });
      });
      at += 2 + count * size;
      return {
        addresses,
        ready: (flags & READY) !== 0,
        serving: (flags & SERVING) !== 0,
        terminating: (flags & TERMINATING) !== 0,
        ...place,
      };
    });
  }
}

function placeOf({ node, zone }: Endpoint): Place {
  const place = { ...(node === undefined ? {} : { node }), ...(zone === undefined ? {} : { zone }) };
  return places.of(place, `${node ?? ""} ${zone ?? ""}`);
}

/** Kubernetes allows 100 addresses an endpoint. */
function bytesOf({ addresses, ready, serving, terminating }: Endpoint, family: 4 | 6): number[] {
  const usable = addresses
    .slice(0, 255)
    .map(parseAddress)
    .filter((address) => address?.family === family);
  const flags = (ready ? READY : 0) | (serving ? SERVING : 0) | (terminating ? TERMINATING : 0);
  return [flags, usable.length, ...usable.flatMap((address) => address?.bytes ?? [])];
}
