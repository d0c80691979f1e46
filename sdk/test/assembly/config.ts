import { Batch, Ipv6Address, Json, PortRange, Prefix, definePlugin, readPorts } from "@sluice/sdk";

definePlugin({ name: "config", version: "1.0.0" });

const prefix = new Prefix();
const address = new Ipv6Address();
const range = new PortRange();

function hex(value: u64): string { return value.toString(16); }

/** What was read, as text; errors are the reader's own. */
function show(value: Json, type: string): string {
  if (type == "text") return value.text();
  if (type == "boolean") return value.boolean() ? "true" : "false";
  if (type == "integer") return value.integer(-1000, 1000).toString();
  if (type == "unsigned") return value.unsigned().toString();
  if (type == "number") return value.number().toString();
  if (type == "address4") return hex(value.address4());
  if (type == "address6") return value.address6(address) ? hex(address.high) + " " + hex(address.low) : "";
  if (type == "ports") return readPorts(value, range) ? range.first.toString() + " " + range.last.toString() : "";
  if (type == "keys") {
    let keys = "";
    for (let member = value.first; member.isPresent; member = member.next) keys += "<" + member.key + ">";
    return keys;
  }
  if (type == "length") return value.length.toString();
  if (!value.prefix(prefix)) return "";
  const shown = prefix.family == 4 ? hex(prefix.address4) : hex(prefix.address6.high) + " " + hex(prefix.address6.low);
  return shown + "/" + prefix.length.toString();
}

@configure
function build(config: Json): void {
  const type = config.need("type").text();
  const value = config.need("nested").need("value");
  value.fail("reads as " + show(value, type));
}

@hook("forward")
function process(batch: Batch): void {}
