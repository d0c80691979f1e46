import { Duplex, PassThrough, Writable } from "node:stream";
import { Exec } from "@kubernetes/client-node";
import { messageOf, SluiceError } from "../errors.js";
import type { KubeApi } from "./api.js";
import { fromStatus } from "./errors.js";

export interface ContainerAddress {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

/** How a command in a container ended. */
export interface Exit {
  /** undefined: it did not run to its end. */
  readonly code: number | undefined;
  /** Why, where it did not end with 0. */
  readonly message: string;
}

/** Kept of what a command writes to its standard error. */
const STDERR_BYTES = 64 * 1024;

/**
 * A command in a container: what is written goes to its standard input, what is read is its standard output. Its end ends
 * the stream; destroying the stream closes its standard input, which is to end it.
 */
export class ContainerProcess extends Duplex {
  readonly #input = new PassThrough();
  #close: () => void = () => {};
  #stderr = "";
  #ended: (exit: Exit) => void = () => {};
  /** Resolves once it has ended, or nothing more is heard of it. */
  readonly exit = new Promise<Exit>((resolve) => {
    this.#ended = resolve;
  });

  private constructor() {
    super({ allowHalfOpen: true });
  }

  /** @throws SluiceError as the API has it: "kube-denied", "kube-not-found", ... */
  static async start(
    api: KubeApi,
    { namespace, pod, container }: ContainerAddress,
    argv: readonly string[],
  ): Promise<ContainerProcess> {
    const process = new ContainerProcess();
    const stdout = writable((piece) => process.push(piece));
    const stderr = writable((piece) => process.#complained(piece));
    const ended = (status: Status) => process.#ended(exitOf(status));
    try {
      const exec = new Exec(api.config);
      const command = [...argv];
      const socket = await exec.exec(namespace, pod, container, command, stdout, stderr, process.#input, false, ended);
      process.#close = () => socket.close();
      socket.onclose = () => process.#lost();
      if (process.destroyed) socket.close();
    } catch (error) {
      throw refused(error, `/api/v1/namespaces/${namespace}/pods/${pod}/exec`);
    }
    return process;
  }

  /** What it has written to its standard error, its first part. */
  get stderr(): string {
    return this.#stderr;
  }

  override _read(): void {} // what comes is pushed: the other end sends no more than its reader asked for

  override _write(piece: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#input.write(piece, done);
  }

  override _final(done: () => void): void {
    this.#input.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#ended({ code: undefined, message: "the connection was closed" });
    this.#close();
    done(error);
  }

  #complained(piece: Buffer): void {
    if (this.#stderr.length < STDERR_BYTES) this.#stderr += piece.toString();
  }

  #lost(): void {
    this.#ended({ code: undefined, message: "the connection to the container was lost" });
    this.#input.removeAllListeners("data").resume(); // there is nobody to send it to
    this.push(null);
  }
}

function writable(take: (piece: Buffer) => void): Writable {
  return new Writable({
    write: (piece: Buffer, _encoding, done) => {
      take(piece);
      done();
    },
  });
}

/**
 * Runs a command that reads nothing to its end: of servers before Kubernetes 1.30 the end of its input would be its own.
 * @returns what it printed @throws SluiceError "exec-failed" with what it says of why
 */
export async function execute(
  api: KubeApi,
  address: ContainerAddress,
  argv: readonly string[],
  signal?: AbortSignal,
): Promise<string> {
  const process = await ContainerProcess.start(api, address, argv);
  const stop = () => process.destroy();
  signal?.addEventListener("abort", stop);
  try {
    signal?.throwIfAborted();
    const pieces: Buffer[] = [];
    process.on("data", (piece: Buffer) => pieces.push(piece));
    const { code, message } = await process.exit;
    signal?.throwIfAborted();
    if (code !== 0) {
      const place = `${address.namespace}/${address.pod}/${address.container}`;
      throw SluiceError.of("exec-failed", place, `${argv.join(" ")}: ${process.stderr.trim() || message}`);
    }
    return Buffer.concat(pieces).toString();
  } finally {
    signal?.removeEventListener("abort", stop);
    process.destroy();
  }
}

interface Status {
  status?: string;
  message?: string;
  details?: { causes?: { reason?: string; message?: string }[] };
}

function exitOf({ status, message = "", details }: Status): Exit {
  if (status === "Success") return { code: 0, message: "" };
  const code = details?.causes?.find(({ reason }) => reason === "ExitCode")?.message;
  return { code: code === undefined ? undefined : Number(code), message };
}

/** Why there was no connection; a server that refuses one says no more than its HTTP status. */
function refused(error: unknown, path: string): SluiceError {
  const event = error as { error?: unknown; message?: string };
  const message = event.error instanceof Error ? messageOf(event.error) : (event.message ?? messageOf(error));
  const status = /server response: (\d+)/.exec(message)?.[1];
  if (status !== undefined) return fromStatus(Number(status), undefined, path);
  return SluiceError.of("kube-unavailable", path, message, { cause: error });
}
