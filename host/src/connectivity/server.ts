import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server } from "node:http";
import { systemCode } from "../errors.js";

export const HTTP_PORT = 8080;
export const UDP_PORT = 8081;
/** Most that is asked for at once. */
const MAX_BYTES = 16 * 1024 * 1024;

/** What a server says of a call. */
export interface ServerAnswer {
  readonly server: string;
  /** The address that it was called from. */
  readonly client: string;
}

/** The servers of a connectivity test's pod, over both families where there are both. */
export class ProbeServer {
  private constructor(
    private readonly http: Server,
    private readonly udp: UdpSocket,
  ) {}

  /** @param name what it calls itself */
  static async start(name: string): Promise<ProbeServer> {
    const address = await anyAddress();
    return new ProbeServer(await startHttp(name, address), await startUdp(name, address));
  }

  async close(): Promise<void> {
    this.http.closeAllConnections();
    await new Promise<void>((resolve) => this.http.close(() => resolve()));
    await new Promise<void>((resolve) => this.udp.close(() => resolve()));
  }
}

function startHttp(name: string, address: string): Promise<Server> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://server");
    const size = Math.min(Number(url.searchParams.get("bytes") ?? 0) || 0, MAX_BYTES);
    if (size > 0) return void response.end(Buffer.alloc(size, 1));
    const answer: ServerAnswer = { server: name, client: plain(request.socket.remoteAddress ?? "") };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answer));
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject).listen(HTTP_PORT, address, () => resolve(server));
  });
}

function startUdp(name: string, address: string): Promise<UdpSocket> {
  const socket = createSocket(address === "::" ? "udp6" : "udp4");
  socket.on("message", (_message, { address: client, port }) => {
    const answer: ServerAnswer = { server: name, client: plain(client) };
    socket.send(JSON.stringify(answer), port, client);
  });
  return new Promise((resolve, reject) => {
    socket.once("error", reject).bind(UDP_PORT, address, () => resolve(socket));
  });
}

/** Where the pod has no IPv6 there is no address of it to listen on. */
function anyAddress(): Promise<"::" | "0.0.0.0"> {
  const socket = createSocket("udp6");
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      if (systemCode(error) === "EAFNOSUPPORT" || systemCode(error) === "EADDRNOTAVAIL") resolve("0.0.0.0");
      else reject(error);
    });
    socket.bind(0, "::", () => socket.close(() => resolve("::")));
  });
}

/** An IPv4 client of a socket of both families. */
const plain = (address: string): string => address.replace(/^::ffff:/, "");
