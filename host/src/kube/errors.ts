import { messageOf, SluiceError } from "../errors.js";

export type KubeErrorCode =
  | "kube-unavailable" // nobody answers, or the server can't for now
  | "kube-gone" // the resource version is no longer held, or not yet there
  | "kube-not-found"
  | "kube-conflict" // somebody else changed or made it
  | "kube-denied" // credentials or RBAC
  | "kube-refused"; // the object or request is wrong

/** @param path of the API, for the message */
export function fromStatus(httpStatus: number, body: unknown, path: string): SluiceError {
  const { message, details } = statusOf(body);
  const tooLarge = details?.causes?.some(({ reason }) => reason === "ResourceVersionTooLarge") === true;
  return SluiceError.of(
    tooLarge ? "kube-gone" : codeOf(httpStatus),
    path,
    message ?? `the API server answered with HTTP status ${httpStatus}`,
  );
}

/** Of a request that had no answer. */
export function unavailable(error: unknown, path: string): SluiceError {
  if (error instanceof SluiceError) return error;
  // fetch() says what happened in the cause only.
  const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return SluiceError.of("kube-unavailable", path, messageOf(reason), { cause: error });
}

export function hasKubeCode(error: unknown, code: KubeErrorCode): boolean {
  return error instanceof SluiceError && error.problems.some((problem) => problem.code === code);
}

function codeOf(status: number): KubeErrorCode {
  if (status === 410) return "kube-gone";
  if (status === 404) return "kube-not-found";
  if (status === 409) return "kube-conflict";
  if (status === 401 || status === 403) return "kube-denied";
  return status === 429 || status >= 500 ? "kube-unavailable" : "kube-refused";
}

interface Status {
  message?: string;
  details?: { causes?: { reason?: string }[] };
}

function statusOf(body: unknown): Status {
  return typeof body === "object" && body !== null ? (body as Status) : {};
}
