import { Batch, Counter, CtState, DropReason, generation, Hook, Packet, TraceValue } from "@sluice/sdk";
import { countRule } from "./rule-counters";
import { ACTION_ALLOW, ACTION_DENY, firstMatch, Question, Rules, rules, settings } from "./tables";
import "./manifest";
export { build } from "./configure";

/** What was decided for a flow, and under which configuration: packets of a flow whose decision is current ask no rule. */
@flowState(1)
@unmanaged
export class Decision {
  generation: u32;
  /** Of ACTION_; 0: none yet. */
  action: u8;
  /** Where the flow's original direction passes. */
  hook: u8;
  private spare: u16;
}

const established = new Counter("established_packets", "Packets of flows that were allowed before");
const allowed = new Counter("allowed_flows", "Flows allowed, and untracked packets");
const denied = new Counter("denied_packets", "Packets denied");
const cut = new Counter("cut_flows", "Flows that a change of rules denied after they had been allowed");
const invalid = new Counter("invalid_packets", "Packets dropped since they fit no connection");
const logged = new TraceValue("rule", "Place of the rule in the configuration, from 1");

const question = new Question();

@hook("forward")
export function forward(batch: Batch): void { filter(batch, Hook.FORWARD); }

@hook("input")
export function input(batch: Batch): void { filter(batch, Hook.INPUT); }

@hook("output")
export function output(batch: Batch): void { filter(batch, Hook.OUTPUT); }

// @ts-ignore: decorator
@inline function filter(batch: Batch, hook: u32): void {
  const all = settings.value;
  if (!settings.isSet) return;
  const current = generation();
  let passed: u64 = 0;
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    const decision = packet.flow<Decision>();
    if (<u32>decision.action == ACTION_ALLOW && decision.generation == current && packet.ctState != CtState.INVALID) {
      passed++;
      packet.settle();
    } else {
      decide(packet, decision, hook, all);
    }
  }
  established.add(passed);
}

function decide(packet: Packet, decision: Decision, hook: u32, all: Rules): void {
  const state = packet.ctState;
  if (state == CtState.INVALID && all.dropInvalid != 0) {
    invalid.add();
    packet.drop(DropReason.InvalidFlowState);
    return;
  }
  const before: u32 = decision.action;
  if (!packet.hasFlow || state == CtState.INVALID) {
    apply(packet, ruleAction(packet, hook, false, all), false);
  } else if (before != 0 && (packet.isRelated || decision.generation == generation())) {
    // An error shows only a part of its flow's addresses: it goes by what is known of the flow.
    apply(packet, before, true);
  } else if (packet.isRelated) {
    apply(packet, ruleAction(packet, hook, false, all), false);
  } else {
    const seenAt = before == 0 ? (packet.isReply ? opposite(hook) : hook) : <u32>decision.hook;
    const action = ruleAction(packet, seenAt, packet.isReply, all);
    const updated = packet.updateFlow<Decision>();
    updated.generation = generation();
    updated.action = <u8>action;
    updated.hook = <u8>seenAt;
    if (before == ACTION_ALLOW && action == ACTION_DENY) cut.add();
    apply(packet, action, before == ACTION_ALLOW);
  }
}

/** Where the other direction of a flow passes. */
// @ts-ignore: decorator
@inline function opposite(hook: u32): u32 {
  return hook == Hook.INPUT ? Hook.OUTPUT : hook == Hook.OUTPUT ? Hook.INPUT : hook;
}

// @ts-ignore: decorator
@inline function apply(packet: Packet, action: u32, isKnown: bool): void {
  if (action == ACTION_DENY) {
    denied.add();
    packet.drop(DropReason.Policy);
  } else if (isKnown) {
    established.add();
  } else {
    allowed.add();
  }
}

/** Asks the rules. A reply is asked about as its flow's original direction: with its two ends exchanged. */
function ruleAction(packet: Packet, hook: u32, isReply: bool, all: Rules): u32 {
  question.hook = hook;
  question.protocol = packet.protocol;
  const from = packet.sourcePort;
  const to = packet.destinationPort;
  question.sourcePort = isReply ? to : from;
  question.destinationPort = isReply ? from : to;
  if (packet.isIpv6) {
    const ip = packet.ipv6;
    question.source6 = isReply ? ip.destination : ip.source;
    question.destination6 = isReply ? ip.source : ip.destination;
  } else {
    const ip = packet.ipv4;
    question.source6 = null;
    question.destination6 = null;
    question.source4 = isReply ? ip.destination : ip.source;
    question.destination4 = isReply ? ip.source : ip.destination;
  }
  const match = firstMatch(all, question);
  if (match < 0) return all.defaultAction;
  const rule = rules.at(match);
  countRule(rule.counter);
  if (rule.trace != 0) logged.note(packet, rule.trace);
  return rule.action;
}
