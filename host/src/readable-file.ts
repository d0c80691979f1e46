import { readFile } from "node:fs/promises";
import { messageOf, SluiceError } from "./errors.js";

/** A file that a user named, or that must be there. @throws SluiceError "unreadable-file" */
export async function readBytes(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw SluiceError.of("unreadable-file", file, messageOf(error), { cause: error });
  }
}

/** In UTF-8. @throws SluiceError "unreadable-file" */
export async function readText(file: string): Promise<string> {
  return (await readBytes(file)).toString();
}
