import { trace } from "./generated/abi";
import { Packet } from "./packet";

/**
 * A value that a stage notes about the packets that an operator traces: `const rule = new TraceValue("rule", "Number of
 * the rule that matched")` at a file's top level, `rule.note(packet, 7)` on the packet path. Names are [a-z][a-z0-9_]*;
 * at most 64 of a stage. The view is the name's number in the manifest.
 */
@unmanaged
export class TraceValue {
  /** The build numbers the declared trace values; there is none to make at run time. */
  constructor(name: string, help: string = "") { unreachable(); }

  /** Notes a value in the packet's trace; costs one test of a flag for packets that nobody traces. */
  // @ts-ignore: decorator
  @inline note(packet: Packet, value: i64): void {
    if (packet.isTraced) trace(<i32>changetype<usize>(packet), <i32>changetype<usize>(this), value);
  }
}
