import { BitmapTable, HashTable, refuse, Settings } from "@sluice/sdk";
import { BELOW, EXACT, hashName, MAX_LABELS } from "./names";

@config
class Config {
  /** Hosts that may be asked for, without port: "example.com" is itself, "*.example.com" all names below it. */
  @minItems(1)
  allow: string[];
  /** TCP ports of the servers. */
  @minItems(1)
  ports: u16[] = [80];
  /** Largest head of a request, in bytes with the empty line at its end. */
  @minimum(64) @maximum(32768)
  maxHeadBytes: u32 = 8192;
  /** Who asks for another host gets a TCP reset instead of silence. */
  reset: bool = false;
}

@unmanaged
export class Options {
  maxHeadBytes: u32;
  reset: bool;
}

export const options = new Settings<Options>("options");
/** EXACT and BELOW by the hash of a name. */
export const names = new HashTable<u64, u32>("names");
export const ports = new BitmapTable("ports");

@configure
export function build(config: Config): void {
  const made = options.make();
  if (made == null) return;
  made.maxHeadBytes = config.maxHeadBytes;
  made.reset = config.reset;
  for (let i = 0; i < config.ports.length; i++) {
    if (config.ports[i] == 0) refuse(config, "ports", "has port 0");
    ports.add(config.ports[i]);
  }
  names.reserve(config.allow.length);
  for (let i = 0; i < config.allow.length; i++) addName(config, config.allow[i]);
}

function addName(config: Config, entry: string): void {
  const isSuffix = entry.startsWith("*.");
  const name = isSuffix ? entry.slice(2) : entry;
  const hash = hashName(name);
  if (hash == 0) {
    refuse(config, "allow", "has '" + entry + "', which is no host name");
  } else if (isSuffix && name.split(".").length > MAX_LABELS) {
    refuse(config, "allow", "has '" + entry + "', a suffix of more than 8 labels");
  } else {
    names.set(hash, names.get(hash, 0) | (isSuffix ? BELOW : EXACT));
  }
}
