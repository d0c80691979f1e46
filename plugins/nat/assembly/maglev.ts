import { maglevChoices, maglevSize, mix, mixPair, reduce } from "@sluice/sdk";
import { backends, choices, Service } from "./tables";

// Of one service after the other: memory of its own for each would be as much as the service itself takes.
const hashes = new Array<u64>();
const weights = new Array<u32>();

/** How many choices a service with so many backends has at most. */
export function choicesOf(count: u32): u32 { return count <= 1 ? count : maglevSize(count); }

/** Fills a service's part of `choices` in proportion to its backends' weights. False when the segment is too small. */
export function fillChoices(service: Service): bool {
  service.firstChoice = choices.length;
  service.choices = 0;
  if (service.backends == 1) {
    if (backends.at(service.firstBackend).weight == 0) return true;
    service.choices = 1;
    return choices.push(0);
  }
  hashes.length = 0;
  weights.length = 0;
  for (let i: u32 = 0; i < service.backends; i++) {
    const backend = backends.at(service.firstBackend + i);
    hashes.push(mixPair(mixPair(backend.high, backend.low), backend.port));
    weights.push(backend.weight);
  }
  const chosen = maglevChoices(hashes, weights, choicesOf(service.backends));
  for (let i = 0; i < chosen.length; i++) if (!choices.push(chosen[i])) return false;
  service.choices = chosen.length;
  return true;
}

/** The backend of a hash, by its number among the service's. The service has choices. */
export function choiceOf(service: Service, hash: u32): u32 {
  return choices.get(service.firstChoice + reduce(mix(hash), service.choices));
}
