import type { HookName, Manifest } from "../../build/manifest.js";
import { hookNumber } from "../../build/manifest.js";
import { Flag, SLOT_STRIDE, SLOTS_OFFSET, WINDOW_BASE } from "../../generated/abi.js";
import type { CallPacket } from "../../testing/imports.js";
import { StageInstance } from "../../testing/instance.js";
import { isMalformed, parsePacket } from "../../testing/parse.js";
import { Slot } from "../../testing/slots.js";
import { DEFAULT_TIME_LIMIT, withTimeLimit } from "../../testing/time-limit.js";
import type { BenchPacket } from "./packets.js";

export interface TimedStage {
  manifest: Manifest;
  module: WebAssembly.Module;
  /** The built configuration; empty without one. */
  segment: Uint8Array;
}

interface Group {
  slots: Slot[];
  /** The window's slots as they are before the burst. */
  window: Uint8Array;
  packets: CallPacket[];
}

const PORTS = Array.from({ length: 16 }, (_, port) => port);
const NANOSECONDS_A_PACKET = 1000n;

/**
 * Times a stage in Node's WebAssembly on bursts of the same packets, of flows that it has seen before. What it changes in
 * the window is undone after each burst, outside the time taken.
 */
export class NodeTimer {
  private readonly instance: StageInstance;
  private readonly groups = new Map<number, Group[]>();
  private nowNs = 1_000_000_000n;

  constructor(
    private readonly stage: TimedStage,
    private readonly hook: HookName,
    private readonly packets: readonly BenchPacket[],
  ) {
    this.instance = new StageInstance(stage.module, stage.manifest.traceValues);
    this.instance.publish(stage.segment);
  }

  /** Nanoseconds a packet, over `bursts` bursts of `size` packets. Throws what the stage traps with. */
  measure(size: number, bursts: number): number {
    const groups = this.groupsOf(size);
    let total = 0;
    for (let burst = 0; burst < bursts; burst++) total += this.burst(groups[burst % groups.length] as Group);
    return (total * 1e6) / bursts / size;
  }

  private groupsOf(size: number): Group[] {
    const known = this.groups.get(size);
    if (known) return known;
    const made: Group[] = [];
    for (let start = 0; start < this.packets.length; start += size) {
      made.push(this.makeGroup(this.packets.slice(start, start + size)));
    }
    this.groups.set(size, made);
    return made;
  }

  private makeGroup(packets: readonly BenchPacket[]): Group {
    const view = Math.ceil(this.stage.manifest.headerBytes / 64) * 64;
    const group: Group = { slots: [], window: new Uint8Array(), packets: [] };
    for (const row of packets) {
      const parsed = parsePacket(Buffer.from(row.in, "hex"));
      if (isMalformed(parsed)) throw new TypeError(`a malformed packet: ${parsed.reason}`);
      const slot = new Slot(this.instance.memory, group.slots.length);
      const flow = Number(row.flow) + 1;
      slot.fill({ parsed, row: { ...row, expect: { verdict: "pass" } }, flow, ctState: "established" }, view);
      slot.setNewSlot(true);
      group.slots.push(slot);
      group.packets.push({
        address: slot.address,
        bytes: parsed.bytes,
        isTraced: false,
        trace: {},
        isSourceTaken: () => false,
      });
    }
    group.window = this.window(group).slice();
    withTimeLimit(DEFAULT_TIME_LIMIT, () => this.burst(group));
    this.keepFlowStates(group);
    return group;
  }

  /** From now on the flows have the state that the stage has just left in them. */
  private keepFlowStates(group: Group): void {
    const before = group.window;
    const states = group.slots.map((slot) => ({
      isWritten: (slot.read().flags & Flag.FLOW_WRITTEN) !== 0,
      state: Buffer.from(slot.flowState),
    }));
    this.window(group).set(before);
    group.slots.forEach((slot, at) => {
      if (!states[at]?.isWritten) return;
      slot.flowState.set(states[at].state);
      slot.setNewSlot(false);
    });
    group.window = this.window(group).slice();
  }

  private window({ slots }: Group): Uint8Array {
    return new Uint8Array(this.instance.memory, WINDOW_BASE + SLOTS_OFFSET, slots.length * SLOT_STRIDE);
  }

  /** Milliseconds. */
  private burst(group: Group): number {
    const { instance, stage } = this;
    const addresses = group.slots.map((slot) => slot.address);
    this.window(group).set(group.window);
    instance.imports.begin(group.packets, PORTS);
    this.nowNs += NANOSECONDS_A_PACKET * BigInt(addresses.length);
    const facts = { hook: hookNumber(this.hook), nowNs: this.nowNs, wallNs: this.nowNs, random: this.nowNs };
    const start = performance.now();
    instance.process(facts, addresses, stage.segment.length);
    const end = performance.now();
    instance.imports.end();
    return end - start;
  }
}
