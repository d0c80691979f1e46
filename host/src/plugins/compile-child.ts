// Compiles the sources that it is sent, one after the other, and ends with who sends them: see compiler.ts.

import { messageOf, SluiceError } from "../errors.js";
import { compileText } from "./builder.js";
import type { CompileAnswer, CompileRequest } from "./compiler.js";

process.on("message", async ({ source }: CompileRequest) => {
  const answer = await compileText(source).then(
    (module): CompileAnswer => ({ module }),
    (error: unknown): CompileAnswer =>
      error instanceof SluiceError ? { problems: error.problems } : { failure: messageOf(error) },
  );
  process.send?.(answer);
});
process.on("disconnect", () => process.exit(0)); // the compiler's thread would keep the process for a while
