import { formatAddress, type IpAddress, parseAddress } from "../config/addresses.js";
import type { PodRecord } from "./records.js";
import { Shared } from "./shared.js";

/** 32-bit words of addresses in a row: IPv4, then IPv6 from its first bytes on; all 0: the pod has none of the family. */
const WORDS = 5;
const FIRST_ROWS = 64;

type PodFields = Pick<PodRecord, "node" | "ips" | "labels" | "ports">;

/** What is kept of each pod, in columns: 44 bytes a pod, where an object of its own takes 250. A row that is freed is used again. */
export class PodRows {
  private addresses = new Uint32Array(FIRST_ROWS * WORDS);
  private readonly nodes: (string | undefined)[] = [];
  private readonly labels: PodRecord["labels"][] = [];
  private readonly ports: PodRecord["ports"][] = [];
  private readonly free: number[] = [];
  private readonly sharedNodes = new Shared<string>();
  private readonly sharedLabels = new Shared<PodRecord["labels"]>();
  private readonly sharedPorts = new Shared<PodRecord["ports"]>();

  add(pod: PodFields): number {
    const row = this.free.pop() ?? this.nodes.length;
    if ((row + 1) * WORDS > this.addresses.length) this.grow();
    this.write(row, pod);
    return row;
  }

  /** @returns whether the row has changed */
  set(row: number, pod: PodFields): boolean {
    const before = { node: this.nodes[row], labels: this.labels[row], ports: this.ports[row] };
    const words = this.addresses.slice(row * WORDS, (row + 1) * WORDS);
    this.write(row, pod);
    return (
      before.node !== this.nodes[row] ||
      before.labels !== this.labels[row] ||
      before.ports !== this.ports[row] ||
      words.some((word, at) => word !== this.addresses[row * WORDS + at])
    );
  }

  remove(row: number): void {
    this.write(row, { ips: [], labels: NO_LABELS, ports: NO_PORTS });
    this.free.push(row);
  }

  fields(row: number): PodFields {
    const node = this.nodes[row];
    const where = node === undefined ? {} : { node };
    return { ...where, ips: this.addressesOf(row), labels: this.labelsOf(row), ports: this.portsOf(row) };
  }

  nodeOf(row: number): string | undefined {
    return this.nodes[row];
  }

  labelsOf(row: number): PodRecord["labels"] {
    return this.labels[row] ?? NO_LABELS;
  }

  portsOf(row: number): PodRecord["ports"] {
    return this.ports[row] ?? NO_PORTS;
  }

  /** IPv4 first. */
  addressesOf(row: number): string[] {
    const [ipv4 = 0, ...ipv6] = this.addresses.subarray(row * WORDS, (row + 1) * WORDS);
    const found: string[] = [];
    if (ipv4 !== 0) found.push(formatAddress({ family: 4, bytes: bytesOf([ipv4]) }));
    if (ipv6.some((word) => word !== 0)) found.push(formatAddress({ family: 6, bytes: bytesOf(ipv6) }));
    return found;
  }

  private write(row: number, { node, ips, labels, ports }: PodFields): void {
    this.nodes[row] = node === undefined ? undefined : this.sharedNodes.of(node, node);
    this.labels[row] = this.sharedLabels.of(labels);
    this.ports[row] = this.sharedPorts.of(ports);
    const words = this.addresses.subarray(row * WORDS, (row + 1) * WORDS).fill(0);
    for (const text of ips) {
      const address = parseAddress(text);
      if (address !== undefined) words.set(wordsOf(address), address.family === 4 ? 0 : 1);
    }
  }

  private grow(): void {
    const larger = new Uint32Array(Math.ceil((this.addresses.length / WORDS) * 1.5) * WORDS);
    larger.set(this.addresses);
    this.addresses = larger;
  }
}

const NO_LABELS: PodRecord["labels"] = {};
const NO_PORTS: PodRecord["ports"] = [];

function wordsOf({ bytes }: IpAddress): number[] {
  const words: number[] = [];
  for (let at = 0; at < bytes.length; at += 4) {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(at, at + 4);
    words.push(((a << 24) | (b << 16) | (c << 8) | d) >>> 0);
  }
  return words;
}

function bytesOf(words: readonly number[]): number[] {
  return words.flatMap((word) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]);
}
