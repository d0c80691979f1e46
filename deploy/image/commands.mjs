import { readFileSync, statfsSync } from "node:fs";
import { join } from "node:path";

/** As it is named in the archive, without its version. */
export const IMAGE = "sluice.dev/sluice";
/** statfs(2): OVERLAYFS_SUPER_MAGIC. An overlay cannot lie on another one. */
const OVERLAYFS = 0x794c7630;

/** Paths of the image's build, all in a folder of its own. */
export function imagePaths(root) {
  const folder = join(root, "build", "image");
  return {
    folder,
    context: join(folder, "context"),
    storage: join(folder, "storage"),
    archive: join(folder, "sluice.tar"),
  };
}

export function imageVersion(root) {
  return JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version;
}

/** The commands that build the image and write it as an OCI archive. What has not changed since the last time is kept. */
export function imageCommands(root) {
  const { context, storage, archive } = imagePaths(root);
  const version = imageVersion(root);
  const name = `${IMAGE}:${version}`;
  // Nothing of this machine's own containers is used or changed.
  const own = ["--root", join(storage, "layers"), "--runroot", join(storage, "run"), "--storage-driver", driver(root)];
  const buildah = (...args) => ({ command: "buildah", args: [...own, ...args] });
  const isolated = ["--isolation", "chroot", "--timestamp", "0", "--layers"];
  return [
    { command: process.execPath, args: [join(root, "deploy/image/stage.mjs"), context] },
    buildah(
      ...["build", ...isolated, "--build-arg", `VERSION=${version}`, "--tag", name],
      ...["--file", join(root, "deploy/image/Dockerfile"), context],
    ),
    // Layers of earlier builds.
    buildah("rmi", "--prune"),
    { command: "rm", args: ["-f", archive] },
    buildah("push", name, `oci-archive:${archive}:${name}`),
  ];
}

function driver(root) {
  return statfsSync(root).type === OVERLAYFS ? "vfs" : "overlay";
}
