import { open, rename } from "node:fs/promises";

/** In characters. */
const LEAST_WRITE = 1 << 16;

/**
 * The file holds all of `data` or what it held before, whatever ends this process or the machine; what waits in `FILE.part` is of a
 * process that was ended. One writer at a time. Throws system errors.
 * @param mode of the file
 */
export async function writeDurably(
  file: string,
  data: string | Uint8Array | Iterable<string>,
  mode = 0o600,
): Promise<void> {
  const part = `${file}.part`;
  const handle = await open(part, "w", mode);
  try {
    await handle.chmod(mode); // a mask takes bits away, and a part may have been left
    const parts = typeof data === "string" || data instanceof Uint8Array ? [data] : gathered(data);
    for (const part of parts) await handle.writeFile(part);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(part, file);
}

/** A write takes a thread's turn, however little it is. */
function* gathered(parts: Iterable<string>): Generator<string> {
  let waiting = "";
  for (const part of parts) {
    waiting += part;
    if (waiting.length < LEAST_WRITE) continue;
    yield waiting;
    waiting = "";
  }
  yield waiting;
}

/** Files that were made, renamed or removed in the folder stay so after a crash. Throws system errors. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
