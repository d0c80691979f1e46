// What the generated `configure` does around the plugin's own function.

import {
  BURST_ERROR_LENGTH, BURST_SEGMENT_SIZE, BURST_SPARE_BASE, BURST_SPARE_SIZE, ConfigureResult, WINDOW_BASE
} from "./generated/abi";
import { decimal, hasError, isTooLarge, Json, parseInput, reportError } from "./json";
import { finishTables, segmentIsTooSmall, startSegment } from "./segment";

/** The root of the configuration; absent when the text is no JSON, which is reported. */
export function beginConfigure(): Json {
  store<u32>(WINDOW_BASE + BURST_ERROR_LENGTH, 0);
  __lend(load<u32>(WINDOW_BASE + BURST_SPARE_BASE), load<u32>(WINDOW_BASE + BURST_SPARE_SIZE));
  isStarted = startSegment();
  return isStarted ? parseInput() : changetype<Json>(0);
}

let isStarted = false;

export function endConfigure(): i32 {
  if (hasError()) return isTooLarge ? ConfigureResult.TOO_LARGE : ConfigureResult.INVALID;
  if (isStarted) finishTables();
  if (isStarted && !segmentIsTooSmall()) return ConfigureResult.OK;
  const size = decimal(load<u32>(WINDOW_BASE + BURST_SEGMENT_SIZE));
  reportError("the configuration's tables need more than segmentBytes, " + size + "; definePlugin can raise it");
  return ConfigureResult.TOO_LARGE;
}
