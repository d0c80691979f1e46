import { open, rename } from "node:fs/promises";

/** The file holds all of `data` or what it held before, whatever ends this process or the machine. Throws system errors. */
export async function writeDurably(file: string, data: string | Uint8Array): Promise<void> {
  const part = `${file}.part`;
  const handle = await open(part, "w", 0o600);
  try {
    await handle.writeFile(data);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(part, file);
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
