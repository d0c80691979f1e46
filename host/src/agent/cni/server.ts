import {
  type handleUnaryCall,
  Metadata,
  type ServiceError,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Logger } from "pino";
import { UnixServer } from "../../grpc/unix-server.js";
import { CNI_CODE, type CniError, toCniError } from "./errors.js";
import {
  CNI_CALL_NAMES,
  CNI_ERROR_KEY,
  type CniCallName,
  type CniCalls,
  cniService,
  encodeCniError,
} from "./protocol.js";

/** Of a call: who asked waits no longer than that. */
export interface CallLimits {
  /** Unix time, ms. */
  readonly deadline: number;
  /** Whether nobody waits for the answer any more. */
  readonly isOver: () => boolean;
}

export type CniHandlers = {
  [Name in CniCallName]: (request: CniCalls[Name][0], limits: CallLimits) => Promise<CniCalls[Name][1]>;
};

/** Of a caller that sets none: kubelet's patience with a runtime is two minutes. */
const LONGEST_MS = 110_000;

/** Told of each call that has ended. @param seconds that it took. @param code the CNI error's; 0: it succeeded */
export type CallObserver = (call: CniCallName, seconds: number, code: number) => void;

/** The agent's CNI service. @throws SluiceError "already-running", "socket-unusable" */
export function serveCni(
  socket: string,
  handlers: CniHandlers,
  log: Logger,
  observe: CallObserver,
): Promise<UnixServer> {
  const implementation: UntypedServiceImplementation = Object.fromEntries(
    CNI_CALL_NAMES.map((name) => [name, unary(name, handlers, log, observe)]),
  );
  return UnixServer.listen(socket, { definition: cniService().service, implementation, what: "an agent" });
}

function unary<Name extends CniCallName>(name: Name, handlers: CniHandlers, log: Logger, observe: CallObserver) {
  const handler = handlers[name] as (request: CniCalls[Name][0], limits: CallLimits) => Promise<CniCalls[Name][1]>;
  const handle: handleUnaryCall<CniCalls[Name][0], CniCalls[Name][1]> = (call, respond) => {
    const began = performance.now();
    const ended = (code: number) => observe(name, (performance.now() - began) / 1000, code);
    const asked = Number(call.getDeadline());
    const deadline = Math.min(Number.isFinite(asked) ? asked : Number.POSITIVE_INFINITY, Date.now() + LONGEST_MS);
    const isOver = () => call.cancelled || Date.now() >= deadline;
    handler(call.request, { deadline, isOver }).then(
      (response) => {
        ended(0);
        respond(null, response);
      },
      (thrown: unknown) => {
        const error = toCniError(thrown);
        ended(error.code);
        refuse(name, error, (refusal) => respond(refusal), log);
      },
    );
  };
  return handle;
}

function refuse(
  call: CniCallName,
  error: CniError,
  respond: (error: Partial<ServiceError>) => void,
  log: Logger,
): void {
  if (error.code === CNI_CODE.internal) log.error({ call, err: error.cause }, "defect in a CNI call");
  else log.warn({ call, code: error.code, details: error.details }, error.message);
  const metadata = new Metadata();
  metadata.set(CNI_ERROR_KEY, encodeCniError(error));
  respond({ code: codeOf(error), details: error.message.slice(0, 500), metadata });
}

function codeOf({ code }: CniError): status {
  if (code === CNI_CODE.internal) return status.INTERNAL;
  return code === CNI_CODE.tryAgainLater ? status.UNAVAILABLE : status.FAILED_PRECONDITION;
}
