import { type Client, connectivityState, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { z } from "zod";
import { SluiceError } from "../errors.js";
import { probeSocket } from "../grpc/probe-socket.js";
import {
  type CallName,
  type Calls,
  dataplaneService,
  MAX_MESSAGE_BYTES,
  methodOf,
  PROBLEMS_KEY,
  type StreamName,
  type Streams,
} from "./protocol.js";

const problemsSchema = z.array(z.object({ code: z.string(), path: z.string(), message: z.string() })).min(1);

/** Calls a dataplane on its socket. */
export class DataplaneClient {
  private readonly client: Client;

  /** @param place what errors say it is about */
  constructor(
    readonly socket: string,
    private readonly place: string = socket,
  ) {
    this.client = new (dataplaneService())(`unix:${socket}`, credentials.createInsecure(), {
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    });
  }

  /** @throws SluiceError as the dataplane gave it; "not-running" when nobody answers */
  async call<Name extends CallName>(
    name: Name,
    request: Calls[Name][0],
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<Calls[Name][1]> {
    await this.probe();
    const method = methodOf(name);
    return new Promise((resolve, reject) => {
      const cancel = () => call.cancel();
      const call = this.client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        (bytes) => method.responseDeserialize(bytes) as Calls[Name][1],
        request,
        new Metadata(),
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          signal?.removeEventListener("abort", cancel);
          if (error !== null) reject(toSluice(error, this.place));
          else if (response === undefined) reject(new Error(`${name} gave neither an error nor a response`));
          else resolve(response);
        },
      );
      signal?.addEventListener("abort", cancel, { once: true });
    });
  }

  /**
   * The messages of a stream, read no faster than they are taken. Ends when the dataplane ends it or `signal` is aborted;
   * whoever stops to take them ends the call too.
   * @throws SluiceError as the dataplane gave it; "not-running" when nobody answers, "connection-lost" when it is gone
   */
  async *stream<Name extends StreamName>(
    name: Name,
    request: Streams[Name][0],
    signal: AbortSignal,
  ): AsyncGenerator<Streams[Name][1], void, undefined> {
    await this.probe();
    if (signal.aborted) return;
    const method = methodOf(name);
    const call = this.client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      (bytes) => method.responseDeserialize(bytes) as Streams[Name][1],
      request,
    );
    const cancel = () => call.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      for await (const message of call) yield message as Streams[Name][1];
    } catch (error) {
      if (!signal.aborted) throw isServiceError(error) ? toSluice(error, this.place) : error;
    } finally {
      signal.removeEventListener("abort", cancel);
      call.cancel();
    }
  }

  close(): void {
    this.client.close();
  }

  /** Where there is no connection yet: gRPC would tell no more than that there is none. */
  private async probe(): Promise<void> {
    if (this.client.getChannel().getConnectivityState(false) === connectivityState.READY) return;
    if ((await probeSocket(this.socket)) === "alive") return;
    throw SluiceError.of(
      "not-running",
      this.place,
      "no dataplane answers there; start one with sluice run, or name its socket with --socket",
    );
  }
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "metadata" in error && error.metadata instanceof Metadata;
}

function toSluice(error: ServiceError, place: string): Error {
  const [encoded] = error.metadata.get(PROBLEMS_KEY);
  if (Buffer.isBuffer(encoded)) {
    return new SluiceError(problemsSchema.parse(JSON.parse(encoded.toString("utf8"))), { cause: error });
  }
  if (error.code === status.DEADLINE_EXCEEDED) {
    return SluiceError.of(
      "timed-out",
      place,
      "the dataplane did not answer in time; see its log, and raise --timeout",
      { cause: error },
    );
  }
  // CANCELLED is what the server makes of a call that it can't wait for; who cancels a call here is not asked.
  if (error.code === status.UNAVAILABLE || error.code === status.CANCELLED) {
    return SluiceError.of("connection-lost", place, "the dataplane has ended; its log says why", { cause: error });
  }
  if (error.code === status.UNIMPLEMENTED) {
    const remedy =
      "the dataplane there speaks another version of the protocol; use the sluice that it was started with";
    return SluiceError.of("wrong-version", place, remedy, { cause: error });
  }
  return SluiceError.of("call-failed", place, error.details || error.message, { cause: error });
}
