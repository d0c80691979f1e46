/**
 * Says what a plugin is, once, at the top level of one of its files. The build reads the object; all its fields are optional:
 *
 *   definePlugin({
 *     name: "policy",              // default: the nearest package.json's
 *     version: "1.0.0",            // default: likewise
 *     headerBytes: 128,            // bytes of each packet in the window, 40 to 320
 *     segmentBytes: 1048576,       // most that configure may build
 *     failure: "FailClosed",       // or "FailOpen", "Reload": what happens when the stage traps or takes too long
 *   });
 */
export function definePlugin(about: object): void {
  ERROR("definePlugin() can only be called at a file's top level");
}
