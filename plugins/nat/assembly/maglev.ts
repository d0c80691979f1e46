import { mixPair } from "@sluice/sdk";
import { backends, choices, Service } from "./tables";

// Maglev's table (Eisenbud and others, "Maglev: A Fast and Reliable Software Network Load Balancer", section 3.4): when a
// backend comes or goes few other choices change, and the order of the backends in the configuration changes none.

const SIZES: StaticArray<u32> = [251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521]; // primes
const CHOICES_PER_BACKEND: u32 = 100;
const EMPTY: u16 = 0xffff;

class Candidate {
  credit: u32 = 0;
  next: u32;
  constructor(public index: u32, public weight: u32, public hash: u64, public skip: u32, size: u32) {
    this.next = <u32>(hash % size);
  }
}

/** Fills a service's part of `choices` in proportion to its backends' weights. False when the segment is too small. */
export function fillChoices(service: Service): bool {
  service.firstChoice = choices.length;
  service.choices = 0;
  const size = sizeFor(service);
  const candidates = readyBackends(service, size);
  if (candidates.length == 0) return true;
  let heaviest: u32 = 0;
  for (let i = 0; i < candidates.length; i++) heaviest = max(heaviest, candidates[i].weight);
  const table = new StaticArray<u16>(size);
  for (let i: u32 = 0; i < size; i++) table[i] = EMPTY;
  let filled: u32 = 0;
  while (filled < size) {
    for (let i = 0; i < candidates.length && filled < size; i++) {
      const candidate = candidates[i];
      candidate.credit += candidate.weight;
      if (candidate.credit < heaviest) continue;
      candidate.credit -= heaviest;
      while (table[candidate.next] != EMPTY) step(candidate, size);
      table[candidate.next] = <u16>candidate.index;
      filled++;
    }
  }
  for (let i: u32 = 0; i < size; i++) if (!choices.push(table[i])) return false;
  service.choices = size;
  return true;
}

function sizeFor(service: Service): u32 {
  for (let i = 0; i < SIZES.length; i++) if (SIZES[i] >= service.backends * CHOICES_PER_BACKEND) return SIZES[i];
  return SIZES[SIZES.length - 1];
}

function step(candidate: Candidate, size: u32): void {
  candidate.next += candidate.skip;
  if (candidate.next >= size) candidate.next -= size;
}

function readyBackends(service: Service, size: u32): Array<Candidate> {
  const candidates = new Array<Candidate>();
  for (let i: u32 = 0; i < service.backends; i++) {
    const backend = backends.at(service.firstBackend + i);
    if (backend.weight == 0) continue;
    const hash = mixPair(mixPair(backend.high, backend.low), backend.port);
    const skip = <u32>(mixPair(hash, 1) % (size - 1)) + 1;
    candidates.push(new Candidate(i, backend.weight, hash, skip, size));
  }
  candidates.sort((a: Candidate, b: Candidate): i32 => a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0);
  return candidates;
}
