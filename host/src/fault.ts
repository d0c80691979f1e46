/** Between two steps of a work that a crash must not leave half done. */
export type FaultPoint =
  | "add-asked"
  | "add-recorded"
  | "add-applied"
  | "add-told"
  | "del-asked"
  | "del-applied"
  | "del-released"
  | "journal-written";

/** Ends the process there as a crash would where SLUICE_DIE_AT names the point: tests do, to see what the next start finds. */
export function faultPoint(point: FaultPoint): void {
  if (process.env.SLUICE_DIE_AT === point) process.kill(process.pid, "SIGKILL");
}
