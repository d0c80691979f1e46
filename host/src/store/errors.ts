import {
  castGrpcError,
  EtcdAuthenticationFailedError,
  EtcdPermissionDeniedError,
  GRPCCancelledError,
  GRPCDeadlineExceededError,
  GRPCInvalidArgumentError,
  GRPCOutOfRangeError,
  GRPCResourceExhastedError,
  GRPCUnauthenticatedError,
  GRPCUnavailableError,
} from "etcd3";
import { messageOf, SluiceError } from "../errors.js";

/** What etcd or the way to it answered. Of those marked * it is not known whether a write was done. */
export type EtcdErrorCode =
  | "etcd-unavailable" // * nobody answers, or the cluster has no leader
  | "etcd-timeout" // * no answer in time
  | "etcd-incomplete" // it is empty, or the reflector is still filling it
  | "etcd-compacted" // the revision asked for is no longer held
  | "etcd-denied" // certificate, user or role
  | "etcd-full" // the space quota is used up
  | "etcd-refused" // a request that can't work: too large, too many operations
  | "etcd-failed"; // * all else

const COMPACTED = /required revision has been compacted/;
/** RESOURCE_EXHAUSTED, as what is too large is. */
const BUSY = /too many requests/;
const NO_SPACE = /database space exceeded/;

const ADVICE: Record<EtcdErrorCode, string> = {
  "etcd-unavailable": "is etcd running there, and are the endpoints and certificates right? It is tried again",
  "etcd-timeout": "etcd is slow or out of reach; it is tried again",
  "etcd-incomplete": "",
  "etcd-compacted": "all is read again",
  "etcd-denied": "check the client certificate, or the user's role",
  "etcd-full": "raise --quota-backend-bytes, or compact, defragment and disarm the alarm",
  "etcd-refused": "",
  "etcd-failed": "",
};

/** @param endpoints where it was tried, for the message */
export function fromEtcd(error: unknown, endpoints: string): SluiceError {
  if (error instanceof SluiceError) return error;
  const code = codeOf(error);
  const advice = ADVICE[code];
  return SluiceError.of(code, endpoints, `${plain(messageOf(error))}${advice === "" ? "" : `; ${advice}`}`, {
    cause: error,
  });
}

export function hasCode(error: unknown, code: EtcdErrorCode): boolean {
  return error instanceof SluiceError && error.problems.some((problem) => problem.code === code);
}

function codeOf(thrown: unknown): EtcdErrorCode {
  const message = messageOf(thrown);
  const error = thrown instanceof Error ? castGrpcError(thrown) : thrown; // a stream's errors have not been cast
  if (COMPACTED.test(message)) return "etcd-compacted";
  if (NO_SPACE.test(message)) return "etcd-full";
  if (BUSY.test(message)) return "etcd-unavailable";
  if (error instanceof GRPCUnavailableError || error instanceof GRPCCancelledError) return "etcd-unavailable";
  if (error instanceof GRPCDeadlineExceededError) return "etcd-timeout";
  if (
    error instanceof EtcdPermissionDeniedError ||
    error instanceof EtcdAuthenticationFailedError ||
    error instanceof GRPCUnauthenticatedError
  ) {
    return "etcd-denied";
  }
  if (
    error instanceof GRPCInvalidArgumentError ||
    error instanceof GRPCResourceExhastedError ||
    error instanceof GRPCOutOfRangeError
  ) {
    return "etcd-refused";
  }
  return "etcd-failed";
}

/** etcd3 puts the error's class before gRPC's code, and gRPC the code before the message. */
function plain(message: string): string {
  return message.replace(/^\w+Error: /, "").replace(/^\d+ [A-Z_]+: /, "");
}
