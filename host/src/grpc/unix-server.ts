import { chmod, mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { messageOf, SluiceError } from "../errors.js";
import { probeSocket } from "./probe-socket.js";

export interface UnixService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
  /** What has the socket when it is in use: "a dataplane of this name". */
  readonly what: string;
  /** Of requests and answers; absent: gRPC's default of 4 MiB. */
  readonly maxMessageBytes?: number;
}

/** A gRPC server on a unix socket that only this user can open. Having the socket is having the name that it stands for. */
export class UnixServer {
  private constructor(
    private readonly server: Server,
    readonly socket: string,
  ) {}

  /**
   * A socket that a dead process left behind is replaced.
   * @throws SluiceError "already-running" when somebody answers there, "socket-unusable"
   */
  static async listen(
    socket: string,
    { definition, implementation, what, ...options }: UnixService,
  ): Promise<UnixServer> {
    await prepareSocket(socket, what);
    const { maxMessageBytes } = options;
    const server = new Server(
      maxMessageBytes === undefined
        ? {}
        : {
            "grpc.max_receive_message_length": maxMessageBytes,
            "grpc.max_send_message_length": maxMessageBytes,
          },
    );
    server.addService(definition, implementation);
    await bind(server, socket);
    return new UnixServer(server, socket);
  }

  /** Lets calls in work end, for a second at most. */
  async close(): Promise<void> {
    const force = setTimeout(() => this.server.forceShutdown(), 1000);
    await new Promise<void>((done) => this.server.tryShutdown(() => done()));
    clearTimeout(force);
    await rm(this.socket, { force: true });
  }
}

async function prepareSocket(socket: string, what: string): Promise<void> {
  // sun_path, with its terminating zero: unix(7).
  if (Buffer.byteLength(socket) > 107) {
    throw SluiceError.of("socket-unusable", socket, "a unix socket's path has up to 107 bytes; choose a shorter one");
  }
  try {
    await mkdir(dirname(socket), { recursive: true, mode: 0o755 });
    if ((await probeSocket(socket)) === "alive") {
      throw SluiceError.of("already-running", socket, `${what} answers there; stop it first, or choose another name`);
    }
    await rm(socket, { force: true });
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    throw SluiceError.of("socket-unusable", socket, messageOf(error), { cause: error });
  }
}

/** With a mask, as a moment with an open socket would be enough for another user to get in. */
async function bind(server: Server, socket: string): Promise<void> {
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((done, fail) =>
      server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => (error ? fail(error) : done())),
    );
    await chmod(socket, 0o600);
  } catch (error) {
    throw SluiceError.of("socket-unusable", socket, messageOf(error), { cause: error });
  } finally {
    process.umask(mask);
  }
}
