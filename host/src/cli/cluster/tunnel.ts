import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Duplex, pipeline } from "node:stream";
import { z } from "zod";
import { messageOf, SluiceError } from "../../errors.js";
import type { Exit } from "../../kube/exec.js";

/** A process that carries a connection: its input and output are the stream. */
export interface Carrier extends Duplex {
  readonly exit: Promise<Exit>;
  /** What it has written to its standard error. */
  readonly stderr: string;
}

const errorsSchema = z.object({
  errors: z.array(z.object({ code: z.string(), path: z.string(), message: z.string() })).min(1),
});

/**
 * A socket on this machine that leads to a node's dataplane: each connection to it is carried by a process in one of the
 * node's containers (`sluice relay`). In a folder that is this user's alone; close() removes it.
 */
export class NodeTunnel {
  readonly #node: string;
  readonly #folder: string;
  readonly #start: () => Promise<Carrier>;
  readonly #server: Server;
  readonly #open = new Set<Socket | Carrier>();
  readonly #forget: () => void;
  #failure: SluiceError | undefined;

  private constructor(node: string, folder: string, start: () => Promise<Carrier>) {
    this.#node = node;
    this.#folder = folder;
    this.#start = start;
    this.#forget = removedAtSignal(folder);
    this.#server = createServer((connection) => this.#accept(connection));
  }

  /** @param start runs the process that carries one connection */
  static async open(node: string, start: () => Promise<Carrier>): Promise<NodeTunnel> {
    const folder = await mkdtemp(join(tmpdir(), "sluice-"));
    const tunnel = new NodeTunnel(node, folder, start);
    try {
      await new Promise<void>((resolve, reject) => {
        tunnel.#server.once("error", reject).listen(tunnel.socket, resolve);
      });
    } catch (error) {
      await tunnel.close();
      throw error;
    }
    return tunnel;
  }

  get socket(): string {
    return join(this.#folder, "node.sock");
  }

  /** What an error that came through the tunnel is about: the tunnel itself, where that failed. */
  explained(error: unknown): unknown {
    const isLost = error instanceof SluiceError && error.problems.some(({ code }) => code === "connection-lost");
    return isLost && this.#failure !== undefined ? this.#failure : error;
  }

  async close(): Promise<void> {
    for (const end of this.#open) end.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#forget();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** A connection that only asks whether somebody listens starts nothing. */
  #accept(connection: Socket): void {
    this.#hold(connection);
    connection.on("error", () => connection.destroy());
    connection.once("readable", () => {
      if (connection.readableLength > 0) void this.#carry(connection);
      else connection.destroy();
    });
  }

  async #carry(connection: Socket): Promise<void> {
    try {
      const process = await this.#start();
      this.#hold(process);
      if (connection.destroyed) process.destroy();
      // An end that breaks off is told by the process's exit.
      pipeline(connection, process, () => {});
      process.on("data", (piece) => {
        if (!connection.write(piece)) {
          process.pause();
          connection.once("drain", () => process.resume());
        }
      });
      connection.once("close", () => process.destroy());
      const { code, message } = await process.exit;
      if (code !== 0) this.#failure = failureOf(this.#node, process.stderr, message);
      process.destroy();
    } catch (error) {
      const isKnown = error instanceof SluiceError;
      this.#failure = isKnown ? error : SluiceError.of("node-unreachable", this.#node, messageOf(error));
    } finally {
      connection.destroy();
    }
  }

  #hold(end: Socket | Carrier): void {
    this.#open.add(end);
    end.once("close", () => this.#open.delete(end));
  }
}

/**
 * Removes a folder when a signal ends this process: before those are called who want the signal for something else, and
 * as the signal's own end where nobody does. @returns what to call when it is removed otherwise
 */
function removedAtSignal(folder: string): () => void {
  const remove = (signal: NodeJS.Signals) => {
    rmSync(folder, { recursive: true, force: true });
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };
  process.prependOnceListener("SIGINT", remove).prependOnceListener("SIGTERM", remove);
  return () => void process.off("SIGINT", remove).off("SIGTERM", remove);
}

/** What the process in the container said, with the node's name. */
function failureOf(node: string, stderr: string, message: string): SluiceError {
  const last = stderr.trim().split("\n").at(-1) ?? "";
  const said = last.startsWith("{") ? errorsSchema.safeParse(JSON.parse(last)).data?.errors : undefined;
  if (said !== undefined) {
    return new SluiceError(said.map((problem) => ({ ...problem, path: `${node} ${problem.path}`.trimEnd() })));
  }
  return SluiceError.of("node-unreachable", node, last || message || "the connection to its container ended");
}
