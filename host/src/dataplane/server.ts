import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type ServiceError,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Logger } from "pino";
import { formatProblem, messageOf, type Problem, SluiceError, systemCode } from "../errors.js";
import { UnixServer } from "../grpc/unix-server.js";
import {
  CALL_NAMES,
  type CallName,
  type Calls,
  dataplaneService,
  MAX_MESSAGE_BYTES,
  PROBLEMS_KEY,
  STREAM_NAMES,
  type StreamName,
  type Streams,
} from "./protocol.js";

/** Where a stream's messages go. */
export interface Sink<Message> {
  /** Resolves once the client has room for more, or the call has ended: who waits for it fills no memory. */
  write(message: Message): Promise<void>;
  /** Aborted when the call has ended, whoever ended it. */
  readonly ended: AbortSignal;
}

export type StreamHandlers = {
  [Name in StreamName]: (request: Streams[Name][0], sink: Sink<Streams[Name][1]>) => Promise<void>;
};

export type CallHandlers = { [Name in CallName]: (request: Calls[Name][0]) => Promise<Calls[Name][1]> };

export type Handlers = CallHandlers & StreamHandlers;

/**
 * Serves a dataplane's calls on its socket: one dataplane a name.
 * @throws SluiceError "already-running" when a dataplane answers there, "socket-unusable"
 */
export function serveDataplane(socket: string, handlers: Handlers, log: Logger): Promise<UnixServer> {
  return UnixServer.listen(socket, {
    definition: dataplaneService().service,
    implementation: implementation(handlers, log),
    what: "a dataplane of this name",
    maxMessageBytes: MAX_MESSAGE_BYTES,
  });
}

function implementation(handlers: Handlers, log: Logger): UntypedServiceImplementation {
  const calls: CallHandlers = handlers;
  const streams: StreamHandlers = handlers;
  return Object.fromEntries([
    ...CALL_NAMES.map((name) => [name, unary(name, calls[name], log)]),
    ...STREAM_NAMES.map((name) => [name, streaming(name, streams[name], log)]),
  ]);
}

function unary<Name extends CallName>(name: Name, handler: CallHandlers[Name], log: Logger) {
  const handle: handleUnaryCall<Calls[Name][0], Calls[Name][1]> = (call, respond) => {
    handler(call.request).then(
      (response) => respond(null, response),
      (error: unknown) => respond(refusal(name, error, log)),
    );
  };
  return handle;
}

function streaming<Name extends StreamName>(name: Name, handler: StreamHandlers[Name], log: Logger) {
  const handle: handleServerStreamingCall<Streams[Name][0], Streams[Name][1]> = (call) => {
    const ended = new AbortController();
    call.once("cancelled", () => ended.abort());
    const write = (message: Streams[Name][1]) =>
      new Promise<void>((done) => {
        if (ended.signal.aborted) return done();
        const settle = () => {
          ended.signal.removeEventListener("abort", settle);
          done();
        };
        ended.signal.addEventListener("abort", settle);
        call.write(message, settle);
      });
    handler(call.request, { write, ended: ended.signal }).then(
      () => call.end(),
      (error: unknown) => call.emit("error", refusal(name, error, log)),
    );
  };
  return handle;
}

function refusal(call: CallName | StreamName, error: unknown, log: Logger): Partial<ServiceError> {
  if (!(error instanceof SluiceError)) log.error({ call, err: error }, "defect in a call");
  else log.warn({ call, problems: error.problems.slice(0, 20) }, "refused");
  const problems = error instanceof SluiceError ? error.problems : [defect(error)];
  const metadata = new Metadata();
  metadata.set(PROBLEMS_KEY, Buffer.from(JSON.stringify(fitting(problems))));
  return {
    code: codeOf(error),
    details: problems[0] === undefined ? "" : formatProblem(problems[0]).slice(0, 500),
    metadata,
  };
}

function codeOf(error: unknown): status {
  if (!(error instanceof SluiceError)) return status.INTERNAL;
  return /^(not-running|stopped)$/.test(error.problems[0]?.code ?? "")
    ? status.UNAVAILABLE
    : status.FAILED_PRECONDITION;
}

function defect(error: unknown): Problem {
  const code = systemCode(error);
  return {
    code: "internal",
    path: "",
    message: `${code === undefined ? "" : `${code}: `}${messageOf(error)}; see the dataplane's log`,
  };
}

/** HTTP/2 headers have little room: the first ones in at most 8 KiB. */
function fitting(problems: readonly Problem[]): Problem[] {
  const kept: Problem[] = [];
  let bytes = 0;
  for (const problem of problems) {
    const short = { ...problem, message: problem.message.slice(0, 1000) };
    bytes += Buffer.byteLength(JSON.stringify(short));
    if (bytes > 8192 && kept.length > 0) {
      kept.push({
        code: "more",
        path: "",
        message: `${problems.length - kept.length} more problems; see the dataplane's log`,
      });
      break;
    }
    kept.push(short);
  }
  return kept;
}
