import { maglevChoices, maglevSize, mixPair } from "@sluice/sdk";
import { backends, choices, Service } from "./tables";

/** Fills a service's part of `choices` in proportion to its backends' weights. False when the segment is too small. */
export function fillChoices(service: Service): bool {
  service.firstChoice = choices.length;
  service.choices = 0;
  const hashes = new Array<u64>();
  const weights = new Array<u32>();
  for (let i: u32 = 0; i < service.backends; i++) {
    const backend = backends.at(service.firstBackend + i);
    hashes.push(mixPair(mixPair(backend.high, backend.low), backend.port));
    weights.push(backend.weight);
  }
  const chosen = maglevChoices(hashes, weights, maglevSize(service.backends));
  for (let i = 0; i < chosen.length; i++) if (!choices.push(chosen[i])) return false;
  service.choices = chosen.length;
  return true;
}
