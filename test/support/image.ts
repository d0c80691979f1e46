import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cleanup } from "./cleanup.js";
import { root } from "./dataplane.js";
import { must } from "./process.js";

/** Where `npm run image` writes it. */
export const ARCHIVE = `${root}/build/image/sluice.tar`;

/** Of an image's configuration. */
export interface ImageConfig {
  readonly User?: string;
  readonly Entrypoint?: readonly string[];
  readonly Env?: readonly string[];
  readonly Labels?: Readonly<Record<string, string>>;
}

interface Descriptor {
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An image's files, unpacked, with what its programs run in. */
export class Image {
  private constructor(
    readonly folder: string,
    readonly name: string,
    readonly config: ImageConfig,
  ) {}

  static async unpack(cleanup: Cleanup, archive = ARCHIVE): Promise<Image> {
    const work = await mkdtemp(join(tmpdir(), "image-test-"));
    cleanup.defer(work, () => rm(work, { recursive: true, force: true }));
    const [layout, folder] = [join(work, "layout"), join(work, "root")];
    await Promise.all([mkdir(layout), mkdir(folder)]);
    await must(["tar", "-C", layout, "-xf", archive], { timeoutMs: 60_000 });
    const blob = (digest: string) => join(layout, "blobs", digest.replace(":", "/"));
    const json = async <T>(file: string) => JSON.parse(await readFile(file, "utf8")) as T;
    const { manifests } = await json<{ manifests: Descriptor[] }>(join(layout, "index.json"));
    const [{ digest = "", annotations = {} } = {}] = manifests;
    const manifest = await json<{ config: Descriptor; layers: Descriptor[] }>(blob(digest));
    const { config } = await json<{ config: ImageConfig }>(blob(manifest.config.digest));
    for (const layer of manifest.layers)
      await must(["tar", "-C", folder, "-xzf", blob(layer.digest)], { timeoutMs: 60_000 });
    await rm(layout, { recursive: true });
    return new Image(folder, annotations["org.opencontainers.image.ref.name"] ?? "", config);
  }

  /**
   * The command line of a program in it, with the kernel's file systems, which go with it.
   * @param user as the image says; "root", with the host's network namespaces too: as the DaemonSet says for some
   * @param env "NAME=value", beside what the image says
   */
  command(argv: readonly string[], user: "image" | "root" = "image", env: readonly string[] = []): string[] {
    const id = user === "root" ? "0:0" : (this.config.User ?? "0:0");
    const variables = [...(this.config.Env ?? []), ...env];
    const mounts = ["proc", "sys", "dev", ...(user === "root" ? ["run/netns"] : [])].map(
      (name) => `mkdir -p "$1/${name}"; mount --rbind /${name} "$1/${name}"`,
    );
    // biome-ignore lint/suspicious/noTemplateCurlyInString: bash's
    const enter = 'exec env -i "${@:4:$3}" /usr/sbin/chroot --userspec="$2" "$1" "${@:$((4 + $3))}"';
    const script = `set -e; ${mounts.join("; ")}; ${enter}`;
    const place = [this.folder, id, String(variables.length), ...variables];
    return ["unshare", "--mount", "bash", "-c", script, "image", ...place, ...argv];
  }

  /** Paths in it of all files for which `wanted` holds, links left out. */
  async files(wanted: (name: string) => boolean): Promise<string[]> {
    const entries = await readdir(this.folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() && wanted(entry.name))
      .map((entry) => join(entry.parentPath, entry.name).slice(this.folder.length));
  }
}
