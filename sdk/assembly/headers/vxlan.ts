import { bswap } from "../byteorder";

/** RFC 7348: 8 bytes behind the UDP header, then an Ethernet frame. Setters store the one field. */
@unmanaged
export class Vxlan {
  private flags: u32;
  private network: u32;

  /** `vni` holds. */
  get hasVni(): bool { return (this.flags & 8) != 0; }
  /** Number of the network, 24 bits. */
  get vni(): u32 { return bswap(this.network) >>> 8; }
  /** Makes all 8 bytes those of a header with this number. */
  begin(vni: u32): void {
    this.flags = 8;
    this.network = bswap(vni << 8);
  }
}
