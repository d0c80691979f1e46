// What the generated `configure` does around the plugin's own function.

import { BURST_ERROR_LENGTH, ConfigureResult, WINDOW_BASE } from "./generated/abi";
import { hasError, Json, parseInput } from "./json";
import { segmentIsTooSmall, startSegment } from "./segment";

/** The root of the configuration; absent when the text is no JSON, which is reported. */
export function beginConfigure(): Json {
  store<u32>(WINDOW_BASE + BURST_ERROR_LENGTH, 0);
  isStarted = startSegment();
  return isStarted ? parseInput() : changetype<Json>(0);
}

let isStarted = false;

export function endConfigure(): i32 {
  if (hasError()) return ConfigureResult.INVALID;
  return isStarted && !segmentIsTooSmall() ? ConfigureResult.OK : ConfigureResult.TOO_LARGE;
}
