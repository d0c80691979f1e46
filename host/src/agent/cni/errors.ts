import { formatProblem, SluiceError } from "../../errors.js";

/** Error codes of the CNI specification, 1.1; from 100 Sluice's own. */
export const CNI_CODE = {
  containerUnknown: 3,
  invalidEnvironment: 4,
  invalidConfiguration: 7,
  tryAgainLater: 11,
  /** STATUS: ADD can't be served. */
  notAvailable: 50,
  /** CHECK: the interface is not as ADD left it. */
  changed: 100,
  /** The dataplane can't make the interface. */
  interfaceRefused: 101,
  internal: 199,
} as const;

export type CniCode = (typeof CNI_CODE)[keyof typeof CNI_CODE];

/** What a CNI call ends with instead of a result; the runtime shows it in the pod's events. */
export class CniError extends Error {
  override readonly name = "CniError";

  constructor(
    readonly code: CniCode,
    message: string,
    readonly details = "",
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Problems that go away by themselves, by their codes. */
const PASSING = /^(not-running|connection-lost|timed-out|stopped|no-address|stale-base)$/;

/** @param error what a call has thrown */
export function toCniError(error: unknown): CniError {
  if (error instanceof CniError) return error;
  if (!(error instanceof SluiceError)) {
    return new CniError(CNI_CODE.internal, "a defect in the agent; see its log", String(error), { cause: error });
  }
  const [first] = error.problems;
  const text = error.problems.map(formatProblem).join("\n");
  const message = first === undefined ? "refused" : first.message;
  if (error.problems.every(({ code }) => PASSING.test(code))) {
    return new CniError(CNI_CODE.tryAgainLater, message, text, { cause: error });
  }
  const isNetns = error.problems.some(({ code }) => code.startsWith("netns-"));
  const code = isNetns ? CNI_CODE.invalidEnvironment : CNI_CODE.interfaceRefused;
  return new CniError(code, message, text, { cause: error });
}
