import {
  Batch, Counter, definePlugin, IpAddress, Ipv6Address, Json, LpmTable, PortRange, Prefix, refuse, Settings
} from "@sluice/sdk";
import { Action, Rates } from "./typed-parts";

definePlugin({ name: "typed", version: "1.0.0", segmentBytes: 65536 });

type Priority = i16;

@config
class Rule {
  action: Action = Action.Allow;
  @oneOf("tcp", "udp") protocol: string = "tcp";
  @maxItems(2) ports: PortRange[] = [];
  @minItems(1) sources: Prefix[];
  @minimum(-100) priority: Priority = -1;
  @maximum(7) counter: u8 = 255;
  peer: IpAddress | null = null;
}

/**
 * Everything that a configuration
 * can say.
 */
@config
class Everything {
  /** How fast. */
  rates: Rates;
  @oneOf("on", "off", "self") mode: Action = Action.DropAll;
  rules: Rule[] = [];
  grid: u8[][] = [[1, 2], []];
  @minimum(0.5) @maximum(1.5) factor: f64 = 1;
  big: u64 = 0;
  note: string | null = null;
  router: Ipv6Address | null = null;
  @schema({ "type": ["object", "array"], "description": "Read by hand" }) free: Json | null = null;
  static readonly own: u32 = 7;
  private sum: u32 = 0;
}

const rates = new Settings<Rates>();
const sources = new LpmTable("sources");
const rules = new Counter("rules");

/** Ends with an error that says what was read, if the note asks for it. */
@configure
function build(config: Everything): void {
  rates.set(config.rates);
  for (let i = 0; i < config.rules.length; i++) {
    const rule = config.rules[i];
    if (rule.action == Action.DropAll && rule.ports.length == 0) refuse(rule, "ports", "must be there to drop");
    for (let j = 0; j < rule.sources.length; j++) {
      const source = rule.sources[j];
      if (source.family == 4) sources.add4(source.address4, source.length, i + 1);
    }
  }
  if (config.note != null) refuse(config, "", shown(config));
}

function shown(config: Everything): string {
  let text = "reads as mode " + config.mode.toString() + ", factor " + config.factor.toString() + ", big " + config.big.toString();
  for (let i = 0; i < config.grid.length; i++) text += ", row " + config.grid[i].toString();
  for (let i = 0; i < config.rules.length; i++) {
    const rule = config.rules[i];
    text += ", rule " + rule.action.toString() + " " + rule.protocol + " " + rule.priority.toString();
    if (rule.counter != 255) text += " counter " + rule.counter.toString();
    const peer = rule.peer;
    if (peer) text += " peer " + peer.family.toString();
    for (let j = 0; j < rule.ports.length; j++) text += " " + rule.ports[j].first.toString() + "-" + rule.ports[j].last.toString();
  }
  const router = config.router;
  if (router) text += ", router " + router.high.toString(16);
  const free = config.free;
  if (free) text += ", free " + free.length.toString();
  return text;
}

@hook("forward")
function process(batch: Batch): void {
  rules.add(0);
  for (let i = 0, n = batch.length; i < n; i++) {
    const packet = batch.at(i);
    const now = rates.value;
    if (packet.mark == 1) packet.mark = now.rate;
    else if (packet.mark == 2) packet.mark = now.gateway;
    else if (packet.mark == 3) packet.mark = now.isStrict ? 1 : 0;
    else packet.mark = sources.lookup4(packet.ipv4.source);
  }
}
