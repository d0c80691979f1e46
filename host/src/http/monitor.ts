import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Registry } from "prom-client";
import { messageOf, SluiceError } from "../errors.js";

export interface MonitorOptions {
  /** "host:port", or ":port" for all addresses. */
  readonly listen: string;
  readonly metrics: Registry;
  /** What keeps the process from working at all; empty: it lives. */
  readonly dead?: () => readonly string[];
  /** What keeps it from doing its work for now; empty: it is ready. */
  readonly unready: () => readonly string[];
  /** Where it serves others while it is not ready: what keeps it from that, at /servingz. */
  readonly unserving?: () => readonly string[];
}

/** What a probe and Prometheus ask of a process: /healthz, /readyz and /metrics. */
export class Monitor {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @throws SluiceError "listen-address" */
  static async start(options: MonitorOptions): Promise<Monitor> {
    const { host, port } = addressOf(options.listen);
    const server = createServer((request, response) => void answer(options, request, response));
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) =>
        reject(SluiceError.of("listen-address", options.listen, messageOf(error), { cause: error })),
      );
      server.listen({ port, ...(host === "" ? {} : { host }) }, resolve);
    });
    return new Monitor(server);
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function answer(options: MonitorOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") return end(response, 405, "only GET and HEAD\n");
  switch (request.url?.split("?")[0]) {
    case "/healthz":
      return state(response, options.dead?.() ?? []);
    case "/readyz":
      return state(response, options.unready());
    case "/servingz":
      return state(response, (options.unserving ?? options.unready)());
    case "/metrics":
      return metrics(response, options.metrics);
    default:
      return end(response, 404, "/healthz, /readyz and /metrics are here\n");
  }
}

function state(response: ServerResponse, reasons: readonly string[]): void {
  end(response, reasons.length === 0 ? 200 : 503, reasons.length === 0 ? "ok\n" : `${reasons.join("\n")}\n`);
}

async function metrics(response: ServerResponse, registry: Registry): Promise<void> {
  try {
    const text = await registry.metrics();
    end(response, 200, text, registry.contentType);
  } catch (error) {
    end(response, 500, `${messageOf(error)}\n`);
  }
}

function end(response: ServerResponse, status: number, text: string, type = "text/plain; charset=utf-8"): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) }).end(text);
}

function addressOf(listen: string): { host: string; port: number } {
  const { host, port } = /^(?<host>\[[0-9a-f:]+\]|[^:]*):(?<port>\d{1,5})$/i.exec(listen)?.groups ?? {};
  if (host === undefined || Number(port) > 65535) {
    throw SluiceError.of("listen-address", listen, "expected host:port or :port, such as 127.0.0.1:9465 or :9465");
  }
  return { host: host.replace(/^\[|\]$/g, ""), port: Number(port) };
}
