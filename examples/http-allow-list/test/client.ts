import { ipv4, ipv6, packet, type Stage, type TcpFields, tcp } from "@sluice/sdk/testing";

const ends = {
  4: { client: "10.1.0.1", server: "192.0.2.80" },
  6: { client: "2001:db8:1::1", server: "2001:db8:2::80" },
};
let nextPort = 1024;

/** A connection to a server, from a port of its own; the client's first byte has the number `initial` + 1. */
export class Connection {
  private readonly port = nextPort++;
  private sent = 0;
  constructor(
    private readonly family: 4 | 6 = 4,
    private readonly serverPort = 80,
    readonly initial = 1000,
    private readonly client: string = ends[family].client,
  ) {}

  private fromClient(payload: string | Uint8Array, fields: Partial<TcpFields>): Uint8Array {
    const header = { source: this.client, destination: ends[this.family].server };
    const ports = { sourcePort: this.port, destinationPort: this.serverPort };
    return packet(this.family === 4 ? ipv4(header) : ipv6(header), tcp({ ...ports, ...fields }), payload);
  }
  fromServer(payload: string | Uint8Array, fields: Partial<TcpFields>, dontFragment = false): Uint8Array {
    const header = { source: ends[this.family].server, destination: this.client };
    const ports = { sourcePort: this.serverPort, destinationPort: this.port };
    return packet(
      this.family === 4 ? ipv4({ ...header, dontFragment }) : ipv6(header),
      tcp({ ...ports, ...fields }),
      payload,
    );
  }

  syn(initial = this.initial, payload = ""): Uint8Array {
    return this.fromClient(payload, { flags: "S", sequence: initial });
  }
  synAck(initial = this.initial): Uint8Array {
    return this.fromServer("", { flags: "SA", sequence: 5000, acknowledgment: (initial + 1) % 2 ** 32 });
  }
  /** The client's bytes from `offset` on. */
  at(offset: number, payload: string | Uint8Array, fields: Partial<TcpFields> = {}): Uint8Array {
    const sequence = (this.initial + 1 + offset) % 2 ** 32;
    return this.fromClient(payload, { flags: "AP", sequence, acknowledgment: 5001, ...fields });
  }
  /** The client's next bytes. */
  next(payload: string | Uint8Array): Uint8Array {
    const segment = this.at(this.sent, payload);
    this.sent += payload.length;
    return segment;
  }
  /** The reset that tells the client it is refused. */
  reset(): Uint8Array {
    return this.fromServer("", { flags: "R", sequence: 5001, window: 0 }, true);
  }

  /** The three packets before the first byte. */
  open(stage: Stage): this {
    // In bursts of their own, in a packet thread too: flow state is read once a burst.
    for (const sent of [this.syn(), this.synAck(), this.at(0, "", { flags: "A" })]) stage.advance(1).send(sent);
    return this;
  }
}

/** A request's head with these lines. */
export const head = (...lines: string[]): string => [...lines, "", ""].join("\r\n");
export const get = (host: string, version = "1.1"): string => head(`GET / HTTP/${version}`, `Host: ${host}`);
