import type { ICompare, IRequestOp } from "etcd3";

/** What must hold for a transaction to be done. */
export type Condition =
  | { readonly key: string; readonly is: "absent" | "present" }
  /** The key's last change had this revision: nobody wrote it since it was read. */
  | { readonly key: string; readonly revision: number }
  | { readonly key: string; readonly value: string };

export type Write =
  | { readonly put: string; readonly value: string }
  /** No error where there is none. */
  | { readonly delete: string };

/** etcd takes this many writes in one transaction (--max-txn-ops). */
export const MAX_WRITES = 128;

export function compareOf(condition: Condition): ICompare {
  const key = Buffer.from(condition.key);
  if ("value" in condition) return { key, target: "Value", result: "Equal", value: Buffer.from(condition.value) };
  if ("revision" in condition) {
    return { key, target: "Mod", result: "Equal", mod_revision: String(condition.revision) };
  }
  // A key that does not exist has the create revision 0.
  return { key, target: "Create", result: condition.is === "absent" ? "Equal" : "Greater", create_revision: "0" };
}

export function requestOf(write: Write): IRequestOp {
  if ("put" in write) return { request_put: { key: Buffer.from(write.put), value: Buffer.from(write.value) } };
  return { request_delete_range: { key: Buffer.from(write.delete) } };
}
