import {
  loadPackageDefinition,
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceClientConstructor,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { Cleanup } from "./cleanup.js";
import { root } from "./dataplane.js";

export const CNI_BINARY = `${root}/build/native/sluice-cni`;

/** A gRPC status, with trailing metadata of the key and bytes given. */
interface Failure {
  grpc: number;
  details: string;
  trailer?: [string, Buffer];
}
// biome-ignore lint/suspicious/noExplicitAny: messages as proto-loader has them
type Message = any;
/** What the service says to a call; "never": nothing at all. */
export type Answer = Failure | object | "never" | ((request: Message) => object);

/** The agent's CNI service as its .proto file has it, with answers that a test sets. */
export class CniServer {
  answers: Record<string, Answer> = {};
  readonly calls: { name: string; request: Message }[] = [];

  private constructor(readonly socket: string) {}

  static async listen(cleanup: Cleanup, socket: string): Promise<CniServer> {
    const server = new Server();
    const service = new CniServer(socket);
    const definition = cniService().service;
    const handlers = Object.values(definition).map(({ path }) => path.split("/").at(-1) ?? "");
    server.addService(definition, Object.fromEntries(handlers.map((name) => [name, service.#handler(name)])));
    await new Promise<void>((done, fail) =>
      server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => (error ? fail(error) : done())),
    );
    cleanup.defer(`the server on ${socket}`, () => server.forceShutdown());
    return service;
  }

  #handler(name: string) {
    return ({ request }: ServerUnaryCall<Message, Message>, done: sendUnaryData<Message>) => {
      this.calls.push({ name, request });
      const answer = this.answers[name] ?? { grpc: 12, details: `${name} is not implemented` };
      if (answer === "never") return;
      if (typeof answer === "function") return done(null, answer(request));
      if (!("grpc" in answer)) return done(null, answer);
      const metadata = new Metadata();
      if (answer.trailer !== undefined) metadata.add(...answer.trailer);
      done({ code: answer.grpc, details: answer.details, metadata });
    };
  }
}

function cniService(): ServiceClientConstructor {
  return (loadPackageDefinition(definitions()) as Message).sluice.cni.v1.Cni as ServiceClientConstructor;
}

function definitions() {
  return loadSync("sluice/v1/cni.proto", { includeDirs: [`${root}/host/proto`], defaults: true });
}

/** What the service says when it refuses a call with a CNI error. */
export function cniError(error: { code: number; message: string; details?: string }): Answer {
  const type: Message = definitions()["sluice.cni.v1.CniError"];
  return { grpc: 9, details: error.message, trailer: ["sluice-cni-error-bin", type.serialize(error)] };
}
