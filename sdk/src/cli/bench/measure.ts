/** Where and with how many packets a burst a stage was timed beside an empty one; nanoseconds a packet. */
export interface Figure {
  where: "Node" | "packet thread";
  burst: number;
  emptyNs: number;
  stageNs: number;
}

export const BURSTS = [32, 256];

const SAMPLES = 31;
/** In a sample. */
const PACKETS = 1 << 15;

/** Nanoseconds a packet. */
type Measure = (size: number, bursts: number) => number;

/** For each stage its median of many samples, taken by turns, so that what else the machine does meets all of them alike. */
export function medians(stages: readonly Measure[], size: number): number[] {
  const samples = stages.map((): number[] => []);
  for (let sample = 0; sample <= SAMPLES; sample++) {
    stages.forEach((measure, at) => {
      const ns = measure(size, PACKETS / size);
      if (sample > 0) samples[at]?.push(ns); // the first warms up
    });
  }
  return samples.map((each) => each.sort((a, b) => a - b)[SAMPLES >> 1] as number);
}
