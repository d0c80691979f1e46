import { connect } from "node:net";
import { type Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { z } from "zod";
import { messageOf, SluiceError, systemCode } from "../errors.js";
import { type CallName, type Calls, dataplaneService, MAX_MESSAGE_BYTES, methodOf, PROBLEMS_KEY } from "./protocol.js";

const problemsSchema = z.array(z.object({ code: z.string(), path: z.string(), message: z.string() })).min(1);

/** Calls a dataplane on its socket. */
export class DataplaneClient {
  private readonly client: Client;

  constructor(readonly socket: string) {
    this.client = new (dataplaneService())(`unix:${socket}`, credentials.createInsecure(), {
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    });
  }

  /** @throws SluiceError as the dataplane gave it; "not-running" when nobody answers */
  async call<Name extends CallName>(name: Name, request: Calls[Name][0], timeoutMs: number): Promise<Calls[Name][1]> {
    if ((await probeSocket(this.socket)) !== "alive") {
      throw SluiceError.of(
        "not-running",
        this.socket,
        "no dataplane answers there; start one with sluice run, or name its socket with --socket",
      );
    }
    const method = methodOf(name);
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        (bytes) => method.responseDeserialize(bytes) as Calls[Name][1],
        request,
        new Metadata(),
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          if (error !== null) reject(toSluice(error, this.socket));
          else if (response === undefined) reject(new Error(`${name} gave neither an error nor a response`));
          else resolve(response);
        },
      );
    });
  }

  close(): void {
    this.client.close();
  }
}

/** Whether somebody listens on a unix socket. "stale": the file is there, its process is not. */
export async function probeSocket(socket: string): Promise<"alive" | "stale" | "absent"> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket);
    connection.once("connect", () => {
      connection.destroy();
      resolve("alive");
    });
    connection.once("error", (error) => {
      const code = systemCode(error);
      if (code === "ENOENT") resolve("absent");
      else if (code === "ECONNREFUSED") resolve("stale");
      else reject(SluiceError.of("socket-unusable", socket, messageOf(error), { cause: error }));
    });
  });
}

function toSluice(error: ServiceError, socket: string): Error {
  const [encoded] = error.metadata.get(PROBLEMS_KEY);
  if (Buffer.isBuffer(encoded)) {
    return new SluiceError(problemsSchema.parse(JSON.parse(encoded.toString("utf8"))), { cause: error });
  }
  if (error.code === status.DEADLINE_EXCEEDED) {
    return SluiceError.of(
      "timed-out",
      socket,
      "the dataplane did not answer in time; see its log, and raise --timeout",
      { cause: error },
    );
  }
  return SluiceError.of("call-failed", socket, error.details || error.message, { cause: error });
}
