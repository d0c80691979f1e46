import { BitmapTable, HashTable, refuse, Settings } from "@sluice/sdk";
import { hashName } from "./names";

@config
class Config {
  /** Names that are not answered, with all names below them: "example.com" stands for "www.example.com" too. */
  deny: string[] = [];
  /** Query types that are not answered, by number: 255 is ANY, 252 AXFR, 10 NULL. */
  denyTypes: u16[] = [255, 252, 251, 10];
  /** Largest query, in bytes of DNS message. */
  @minimum(12)
  maxBytes: u16 = 512;
  /** Port of the name servers. */
  @minimum(1)
  port: u16 = 53;
  /** A denied name or type is answered with REFUSED (RFC 1035, section 4.1.1) instead of silence. */
  refuse: bool = false;
  /** DNS over TCP, which is not read, is dropped: nobody gets round the lists that way. */
  denyTcp: bool = false;
}

@unmanaged
export class Options {
  maxBytes: u32;
  port: u32;
  refuse: bool;
  denyTcp: bool;
}

export const options = new Settings<Options>("options");
/** By the hash of the labels from the last one on; see addLabel. */
export const deniedNames = new HashTable<u64, u32>("denied_names");
export const deniedTypes = new BitmapTable("denied_types");

@configure
export function build(config: Config): void {
  const made = options.make();
  if (made == null) return;
  made.maxBytes = config.maxBytes;
  made.port = config.port;
  made.refuse = config.refuse;
  made.denyTcp = config.denyTcp;
  deniedNames.reserve(config.deny.length);
  for (let i = 0; i < config.deny.length; i++) {
    const hash = hashName(config.deny[i]);
    if (hash == 0) refuse(config, "deny", "has '" + config.deny[i] + "', which is no domain name");
    else deniedNames.set(hash, 1);
  }
  for (let i = 0; i < config.denyTypes.length; i++) deniedTypes.add(config.denyTypes[i]);
}
