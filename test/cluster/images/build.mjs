// Writes the images of the test's pods as OCI archives: node test/cluster/images/build.mjs PROGRAMS OUTPUT
// PROGRAMS: the folder that the Go programs were built to.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const REGISTRY = "sluice.test"; // nothing is ever pulled from it
const here = dirname(fileURLToPath(import.meta.url));
const [programs, output] = process.argv.slice(2);

const images = {
  pause: { entrypoint: ["/pause"], fill: pause },
  tools: { entrypoint: ["/bin/agnhost"], fill: tools },
  etcd: { entrypoint: ["etcd"], fill: etcd },
  "memif-peer": { entrypoint: ["memif-peer"], fill: memifPeer },
  coredns: { entrypoint: ["/coredns"], fill: (root) => cpSync(join(programs, "coredns"), join(root, "coredns")) },
};

function pause(root) {
  execFileSync("cc", ["-Os", "-static", "-s", "-Wall", "-Werror", join(here, "pause.c"), "-o", join(root, "pause")]);
}

/** A shell with the usual commands, the clients and servers that tests call, and agnhost. */
function tools(root) {
  for (const folder of ["etc", "tmp", "uploads"]) mkdirSync(join(root, folder));
  busybox(root);
  cpSync(join(programs, "agnhost"), join(root, "bin/agnhost"));
  for (const program of ["/usr/bin/curl", "/usr/bin/iperf3", "/bin/ping", "/usr/bin/socat"])
    withLibraries(root, program);
  // The C library finds its name service modules by name, not by ldd.
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/:/bin/sh\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\n");
  writeFileSync(join(root, "etc/nsswitch.conf"), "hosts: files dns\n");
}

/** A shell with the usual commands. */
function busybox(root) {
  mkdirSync(join(root, "bin"));
  cpSync("/bin/busybox", join(root, "bin/busybox"));
  const applets = execFileSync("/bin/busybox", ["--list"], { encoding: "utf8" }).split("\n").filter(Boolean);
  for (const applet of applets.filter((name) => name !== "busybox")) symlinkSync("busybox", join(root, "bin", applet));
}

/** DPDK's testpmd, with the drivers that a memif and a kernel interface take. */
function memifPeer(root) {
  mkdirSync(join(root, "run"));
  busybox(root);
  cpSync(join(here, "memif-peer.sh"), join(root, "bin/memif-peer"));
  for (const program of ["/usr/bin/dpdk-testpmd", "/sbin/ip", "/bin/ping"]) withLibraries(root, program);
  const folder = execFileSync("pkg-config", ["--variable=libdir", "libdpdk"], { encoding: "utf8" }).trim();
  for (const driver of ["mempool_ring", "net_memif", "net_af_packet"])
    withLibraries(root, join(folder, `librte_${driver}.so`));
}

/** Sluice's etcd, of Debian's package. */
function etcd(root) {
  mkdirSync(join(root, "bin"));
  withLibraries(root, "/usr/bin/etcd");
}

/** Copies a program to /bin, with the libraries that it names, where it looks for them. */
function withLibraries(root, program) {
  const destination = join(root, "bin", program.slice(program.lastIndexOf("/") + 1));
  rmSync(destination, { force: true });
  cpSync(realpathSync(program), destination);
  const libraries = execFileSync("ldd", [program], { encoding: "utf8" }).matchAll(/(\/\S+) \(0x/g);
  for (const [, library] of libraries) {
    mkdirSync(join(root, dirname(library)), { recursive: true });
    cpSync(realpathSync(library), join(root, library));
  }
}

const digest = (bytes) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** Packs a folder; equal content gives equal bytes. */
function archive(folder, file, extra = []) {
  const reproducible = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
  execFileSync("tar", ["-C", folder, ...reproducible, ...extra, "-cf", file, "."]);
}

function buildImage(name, { entrypoint, fill }) {
  const work = mkdtempSync(join(tmpdir(), "sluice-image-"));
  try {
    const [root, layout, layerFile] = [join(work, "root"), join(work, "layout"), join(work, "layer.tar")];
    mkdirSync(root);
    mkdirSync(join(layout, "blobs/sha256"), { recursive: true });
    fill(root);
    archive(root, layerFile, ["--mode=a+rX"]);
    const blob = (mediaType, bytes) => {
      const id = digest(bytes);
      writeFileSync(join(layout, "blobs", id.replace(":", "/")), bytes);
      return { mediaType, digest: id, size: bytes.length };
    };
    const json = (mediaType, value) => blob(mediaType, Buffer.from(JSON.stringify(value)));
    const layer = blob("application/vnd.oci.image.layer.v1.tar", readFileSync(layerFile));
    const config = json("application/vnd.oci.image.config.v1+json", {
      architecture: "amd64",
      os: "linux",
      config: { Entrypoint: entrypoint, Env: ["PATH=/bin"] },
      rootfs: { type: "layers", diff_ids: [layer.digest] },
    });
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const manifest = json(mediaType, { schemaVersion: 2, mediaType, config, layers: [layer] });
    const annotations = { "io.containerd.image.name": `${REGISTRY}/${name}:1` };
    const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
    writeFileSync(join(layout, "index.json"), JSON.stringify(index));
    writeFileSync(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    archive(layout, join(output, `${name}.tar`));
  } finally {
    rmSync(work, { recursive: true });
  }
}

mkdirSync(output, { recursive: true });
for (const [name, image] of Object.entries(images)) buildImage(name, image);
