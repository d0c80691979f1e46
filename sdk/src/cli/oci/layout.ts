import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CommandError, messageOf, systemCode } from "../errors.js";
import type { Artifact, Descriptor } from "./artifact.js";

// OCI image layout: https://github.com/opencontainers/image-spec/blob/main/image-layout.md

const VERSION = "1.0.0";
const REF_NAME = "org.opencontainers.image.ref.name";

interface Index {
  schemaVersion: 2;
  mediaType?: string;
  manifests: Descriptor[];
}

/** Adds an artifact to a layout, which is made if absent; what had the tag before loses it. Throws CommandError. */
export async function pushToLayout(folder: string, tag: string, artifact: Artifact): Promise<void> {
  try {
    const index = await openLayout(folder);
    for (const { descriptor, bytes } of [...artifact.blobs, artifact.manifest]) {
      await replaceFile(join(folder, "blobs", "sha256", descriptor.digest.replace("sha256:", "")), bytes);
    }
    const others = index.manifests.filter((each) => each.annotations?.[REF_NAME] !== tag);
    const added = { ...artifact.manifest.descriptor, annotations: { [REF_NAME]: tag } };
    await replaceFile(join(folder, "index.json"), JSON.stringify({ ...index, manifests: [...others, added] }));
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    throw new CommandError("cannot-write", `cannot be written: ${messageOf(error)}`, "Give another folder", folder, {
      cause: error,
    });
  }
}

async function openLayout(folder: string): Promise<Index> {
  const blobs = join(folder, "blobs", "sha256");
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length === 0) {
    await mkdir(blobs, { recursive: true });
    await writeFile(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: VERSION }));
    return { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [] };
  }
  const layout = await readJson<{ imageLayoutVersion?: string }>(folder, "oci-layout");
  if (layout.imageLayoutVersion !== VERSION) {
    throw new CommandError(
      "layout",
      `is a layout of version ${layout.imageLayoutVersion}`,
      `Give one of ${VERSION}`,
      folder,
    );
  }
  const index = await readJson<Partial<Index>>(folder, "index.json");
  if (!Array.isArray(index.manifests)) throw notLayout(folder, "its index.json has no manifests");
  await mkdir(blobs, { recursive: true });
  return index as Index;
}

async function readJson<Value>(folder: string, name: string): Promise<Value> {
  try {
    return JSON.parse(await readFile(join(folder, name), "utf8")) as Value;
  } catch (error) {
    if (error instanceof SyntaxError) throw notLayout(folder, `its ${name} is not JSON`);
    if (systemCode(error) === "ENOENT") throw notLayout(folder, `it has no ${name}`);
    throw error;
  }
}

const notLayout = (folder: string, why: string): CommandError =>
  new CommandError("layout", `has files in it, but is no OCI layout: ${why}`, "Give an empty or new folder", folder);

/** Whoever reads the layout meanwhile sees the file as before or as after. */
async function replaceFile(path: string, contents: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${process.pid}.part`;
  await writeFile(temporary, contents);
  await rename(temporary, path);
}
