/// <reference types="node" preserve="true" />

export { type BuildOptions, type BuildResult, buildPlugin } from "./build.js";
export { describeModule, type ModuleDescription } from "./describe.js";
export { BuildError, type Diagnostic, formatDiagnostic, ModuleError, type ModuleErrorCode } from "./errors.js";
export { inspectModule, type ModuleInfo } from "./inspect.js";
export {
  embedManifest,
  type FailureStrategy,
  failureStrategies,
  type HookName,
  hookNames,
  hookNumber,
  type Json,
  type Manifest,
  readManifest,
} from "./manifest.js";
export { type SourceLocation, type SourcePlace, sourceOf } from "./sourcemap.js";
