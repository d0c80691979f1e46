import { constants } from "node:os";
import { hashOf } from "../cluster/versions.js";
import { SluiceError } from "../errors.js";
import type { BuiltModule } from "./builder.js";
import { COMPILE_LIMITS, type CompileLimits, type CompileRequest, Compiler } from "./compiler.js";

/** Several times what an ordinary source takes, of time and of memory. */
const FIRST_TRY: CompileLimits = { timeMs: 5_000, memoryMb: 384 };
/** Sources that are known to take more. */
const MAX_KNOWN = 256;
/** What more time or memory may mend. */
const LIMITED = /^compile-(time|memory|crashed)$/;

/**
 * Two compilers: one tries each source within limits that an ordinary one does not come near, the other one takes those that
 * need more, with all that they are allowed. So a source that uses up its whole time holds up no others but such as itself, also not by the CPU that it takes.
 */
export class Compilers {
  private readonly first: Compiler;
  private readonly patient: Compiler;
  /** By their hashes, oldest first. */
  private readonly slow = new Set<string>();

  constructor({ timeMs, memoryMb }: CompileLimits = COMPILE_LIMITS) {
    this.first = new Compiler({
      timeMs: Math.min(timeMs, FIRST_TRY.timeMs),
      memoryMb: Math.min(memoryMb, FIRST_TRY.memoryMb),
    });
    this.patient = new Compiler({ timeMs, memoryMb }, constants.priority.PRIORITY_LOW);
  }

  /** As Compiler.warmUp(), of the first one. */
  warmUp(): Promise<void> {
    return this.first.warmUp();
  }

  /** @throws SluiceError as Compiler.compile() does */
  async compile(request: CompileRequest): Promise<BuiltModule> {
    const hash = hashOf(request.source);
    if (this.slow.has(hash)) return this.patient.compile(request);
    try {
      return await this.first.compile(request);
    } catch (error) {
      const isLimited = error instanceof SluiceError && error.problems.every(({ code }) => LIMITED.test(code));
      if (!isLimited) throw error;
    }
    this.slow.add(hash);
    for (const oldest of [...this.slow].slice(0, -MAX_KNOWN)) this.slow.delete(oldest);
    return this.patient.compile(request);
  }

  /** Ends both processes at once; what they have been asked for fails. */
  async close(): Promise<void> {
    await Promise.all([this.first.close(), this.patient.close()]);
  }
}
