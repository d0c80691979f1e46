import { Emit, Interval, Scratch } from "@sluice/sdk";
import { FlowRecord } from "./cache";
import { Options } from "./config";
import { endSet, flowSet, refreshTemplates, sendMessage, startMessage, startSet, writeFlow } from "./ipfix";

// Records on their way out, so that a message has many: with 16 of IPv6 it has 1300 bytes, and fits in every MTU.
const MOST: u32 = 16;
const SIZE: u32 = <u32>offsetof<FlowRecord>();
const waiting = new Scratch(MOST * SIZE);
const reasons = new Scratch(MOST);
const everySecond = new Interval(1000);
let count: u32 = 0;

/** Takes a copy of the record, which is free then. */
export function report(record: FlowRecord, reason: u32, options: Options): void {
  memory.copy(changetype<usize>(waiting.view<FlowRecord>(count * SIZE)), changetype<usize>(record), SIZE);
  reasons.set<u8>(count, <u8>reason);
  record.packets = 0;
  if (++count == MOST) flush(options);
}

/** Sends what waits, at most a second late. */
export function flushInTime(options: Options): void {
  if (everySecond.isDue && count != 0) flush(options);
}

function flush(options: Options): void {
  refreshTemplates(options);
  const message = startMessage(options);
  writeFamily(message, false);
  writeFamily(message, true);
  sendMessage(message);
  count = 0;
}

/** A set of those records that are of this family, when there are any. */
function writeFamily(message: Emit, isIpv6: bool): void {
  let isOpen = false;
  for (let i: u32 = 0; i < count; i++) {
    const record = waiting.view<FlowRecord>(i * SIZE);
    if (record.isIpv6 != isIpv6) continue;
    if (!isOpen) startSet(message, flowSet(isIpv6));
    isOpen = true;
    writeFlow(message, record, reasons.get<u8>(i));
  }
  if (isOpen) endSet(message);
}
