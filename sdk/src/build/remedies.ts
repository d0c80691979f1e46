/** What to do about the compiler's errors that authors who know TypeScript meet first; by its diagnostic codes. */
const remedies: Record<number, string> = {
  2304: "Import it, from @sluice/sdk if it is the SDK's",
  6054: "Check the path of the import; the SDK is @sluice/sdk",
  2322: "AssemblyScript converts nothing by itself between types of different size: cast with <u32>value",
  2365: "Give both sides the same type with a cast such as <u32>value",
  200: "Write the cast, such as <u32>value, or use the larger type",
};

export function remedyFor(code: number, message: string): string | undefined {
  if (message.includes("losures"))
    return "AssemblyScript has no closures: use a class, a top-level variable or a parameter";
  return remedies[code];
}
