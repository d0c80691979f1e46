/** The sources or pages are not as the generator needs them; the message says where and what to do. */
export class DocsError extends Error {
  override readonly name = "DocsError";
}
