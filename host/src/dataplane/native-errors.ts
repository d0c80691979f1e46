import type { SluiceNativeError } from "@sluice/native";
import { SluiceError } from "../errors.js";

/** A refusal of the addon as the shell's own; anything else is a defect and stays what it is. */
export function fromNative(error: unknown, defaultPath = ""): unknown {
  if (!isNative(error)) return error;
  return SluiceError.of(error.code, error.path || defaultPath, error.message, { cause: error });
}

function isNative(error: unknown): error is SluiceNativeError {
  return error instanceof Error && error.name === "SluiceNativeError";
}
