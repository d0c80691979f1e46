/** A key and what it holds, in UTF-8. */
export interface Entry {
  readonly key: string;
  readonly value: string;
  /** Of its last change. */
  readonly revision: number;
}

export interface Page {
  readonly entries: readonly Entry[];
  /** Of the whole listing: all pages are of one moment. */
  readonly revision: number;
}
