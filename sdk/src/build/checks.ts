// What the compiler allows and a stage may not do, found in the compiled module before it is optimised.

import { PRIVATE_BASE, PRIVATE_SIZE } from "../generated/abi.js";
import { type Program, placeOf } from "./ast.js";
import type { CallGraph } from "./callgraph.js";
import type { Declarations } from "./declarations.js";
import { BuildError, type Diagnostic, type Place } from "./errors.js";
import { MAIN_PATH } from "./main.js";

const allocators = new Set(["__alloc", "__new", "__renew", "__realloc"].map((name) => `~lib/rt/stub/${name}`));
const MAIN_MODULE = MAIN_PATH.replace(/\.ts$/, "/");
const error = (code: string, message: string, remedy: string, at?: Place): Diagnostic => ({
  severity: "error",
  ...{ code, message, remedy },
  ...at,
});

/** The packet path must not allocate: memory is never freed there. */
export function allocationProblems(graph: CallGraph, program: Program): Diagnostic[] {
  return ["process", "migrate"].flatMap((entry) => {
    const path = graph.pathFrom(entry, (name) => allocators.has(name));
    if (!path) return [];
    const index = path.findLastIndex(({ function: name }) => isOwn(name) && !name.endsWith("#constructor"));
    const own = path[index]?.function ?? entry;
    const told = path.map((step) => step.function).filter((name) => !name.startsWith("~lib/rt/") && !isEntry(name));
    const chain = told.map(shown).join(" -> ");
    const remedy = "Make objects, strings and arrays at the top level or in configure; reuse them on the packet path";
    const message = `'${shown(own)}' allocates memory, and ${entry} can reach it: ${chain}`;
    return [error("allocation", message, remedy, path[index + 1]?.at ?? functionPlace(own, program))];
  });
}
/** A function of the plugin's, not of a library's or the generated entry's. */
const isOwn = (name: string): boolean => !name.startsWith("~lib/") && !isEntry(name);
const isEntry = (name: string): boolean => name.startsWith(MAIN_MODULE);
/** As an author reads it: "Class#method", with the library's file before it. */
const shown = (name: string): string =>
  isOwn(name) ? name.replace(/^.*\/(?=[^/<]+(?:<|$))/, "") : name.replace("~lib/", "");

/** Where "folder/file/Class#method<u32>", or at least its class, is declared. */
function functionPlace(internalName: string, program: Program): Place {
  const plain = internalName.replace(/<.*>$/, "");
  const declared = program.elementsByName.get(plain) ?? program.elementsByName.get(plain.replace(/#.*$/, ""));
  const name = declared?.declaration?.name;
  return name ? placeOf(name) : { file: `${plain.split("/").slice(0, -1).join("/")}.ts` };
}

/** Flow state is read and written as the class that the manifest tells of, and no other. */
export function flowStateProblems(graph: CallGraph, found: Declarations): Diagnostic[] {
  const accessor = /^~lib\/@sluice\/sdk\/packet\/Packet#(?:flow|updateFlow)<(.*)>$/;
  const used = new Set([...graph.functions].flatMap((name) => accessor.exec(name)?.[1] ?? []));
  used.delete(found.flowState?.internalName ?? "");
  return [...used].map((name) => {
    const remedy = "Mark one unmanaged class with @flowState(1) and use that one everywhere";
    return error("flow-state", `'${name}' is used as flow state, but is not the class marked @flowState`, remedy, {
      file: `${name.split("/").slice(0, -1).join("/")}.ts`,
    });
  });
}

/** Static data must leave room in the region that the host gives a module. */
export function sizeProblems(text: string): Diagnostic[] {
  const heap = Number(/\(global \$~lib\/memory\/__heap_base i32 \(i32\.const (\d+)\)\)/.exec(text)?.[1] ?? 0);
  const end = PRIVATE_BASE + PRIVATE_SIZE;
  if (heap <= end) return [];
  const message = `Static data ends at ${heap}, beyond the ${end} bytes that a module has of its own`;
  return [error("data", message, "Make memory.data and static arrays smaller, or use tables in the config segment")];
}

/** Bytes of the class marked @flowState; 0 without one. */
export function flowStateSize(found: Declarations, program: Program): number {
  if (!found.flowState) return 0;
  const { internalName, at } = found.flowState;
  const [instance] = program.elementsByName.get(internalName)?.instances?.values() ?? [];
  if (instance) return instance.nextMemoryOffset;
  const remedy = "Use it with packet.flow and packet.updateFlow, or take it out";
  throw new BuildError([error("flow-state", `The flow state '${internalName}' is never used`, remedy, at)]);
}
