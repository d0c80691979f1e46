import { lstat, open, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cleanup } from "../support/cleanup.js";
import { root } from "../support/dataplane.js";
import { Image } from "../support/image.js";
import { ownName } from "../support/leftovers.js";
import { Namespace } from "../support/namespace.js";
import { eventually, must, run } from "../support/process.js";

// The image as it is built for users, its files unpacked: what is in it, and that its programs run on nothing else.

const SLUICE = "/usr/bin/sluice";
const HOME = "/usr/lib/sluice";
/** Unpacked. A change that adds a tenth of that is to be meant. */
const MOST_BYTES = 190e6;
const WAIT_MS = 30_000;
/** The compiler has the lowest priority, on a machine that may be busy. */
const LONGEST_MS = 300_000;

let cleanup: Cleanup;
let image: Image;

beforeAll(async () => {
  cleanup = new Cleanup();
  image = await Image.unpack(cleanup);
});
afterAll(() => cleanup.close());

const inImage = (argv: string[], user?: "root") => run(image.command(argv, user), { timeoutMs: LONGEST_MS });
const sizeOf = async (file: string) => (await lstat(join(image.folder, file))).size;

async function isElf(file: string): Promise<boolean> {
  const handle = await open(join(image.folder, file));
  try {
    const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.toString("latin1") === "\x7fELF";
  } finally {
    await handle.close();
  }
}

async function programs(): Promise<string[]> {
  const files = await image.files((name) => /\.so(\.|$)|\.node$|^[^.]+$/.test(name));
  const elf = await Promise.all(files.map(isElf));
  return files.filter((_, index) => elf[index] === true);
}

describe("the image", () => {
  test("says what it is, and runs as nobody in particular", () => {
    expect(image.name).toMatch(/^sluice\.dev\/sluice:\d+\.\d+\.\d+$/);
    expect(image.config).toMatchObject({
      User: "65532:65532",
      Entrypoint: [SLUICE],
      Labels: { "org.opencontainers.image.version": image.name.split(":")[1] },
    });
  });

  test("is small", async () => {
    const sizes = await Promise.all((await image.files(() => true)).map(sizeOf));
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(MOST_BYTES);
  });

  test("has every library that its programs are linked with", async () => {
    const files = await programs();
    expect(files).toEqual(
      expect.arrayContaining(
        ["/usr/bin/node", "sluice.node", "sluice-cni", "sluice-uplink"].map((name) =>
          name.startsWith("/") ? name : `${HOME}/build/native/${name}`,
        ),
      ),
    );
    expect(files.filter((name) => name.includes("librte_net_")).length).toBeGreaterThan(40);
    const script = `
      import { spawnSync } from "node:child_process";
      for (const file of ${JSON.stringify(files)}) {
        const { stdout, stderr } = spawnSync("/lib64/ld-linux-x86-64.so.2", ["--list", file], { encoding: "utf8" });
        const said = (stdout + stderr).split("\\n").filter((line) => /not found|cannot open/.test(line));
        if (said.length > 0) console.log(file, said.join());
      }`;
    const { stdout, stderr } = await inImage(["/usr/bin/node", "--input-type=module", "--eval", script]);
    expect([stdout, stderr]).toEqual(["", ""]);
  });

  test("has what its programs look for beside their modules, which are bundled into few files", async () => {
    const programs = await image.files((name) => name.endsWith(".js"));
    const bundled = programs.filter((file) => file.startsWith(`${HOME}/host/`));
    expect(bundled.length).toBeLessThan(60);
    const texts = await Promise.all(bundled.map((file) => readFile(join(image.folder, file), "utf8")));
    const places = texts.flatMap((text) => [...text.matchAll(/new URL\(["`]([^"`]+)["`], "(file:[^"]+)"\)/g)]);
    // Of a name that is known when they run: any.
    const files = places.map(([, path = "", module]) =>
      fileURLToPath(new URL(path.replaceAll(/\$\{\w+\}/g, "*"), module)),
    );
    expect(files.filter((file) => !file.includes("*"))).toEqual(
      expect.arrayContaining(["host/package.json", "build/native/sluice-cni"].map((file) => `${HOME}/${file}`)),
    );
    for (const file of files) {
      const found = await must(["bash", "-c", 'compgen -G "$1"', "bash", `${image.folder}${file}`]);
      expect(found, file).not.toBe("");
    }
  });

  test("has no path of the tree that it was built in", async () => {
    const found = await run([
      "grep",
      "-rlaF",
      root,
      join(image.folder, HOME),
      join(image.folder, "usr/lib/x86_64-linux-gnu"),
    ]);
    expect(found).toMatchObject({ status: 1, stdout: "" });
  });

  test("has no file that others may write, and none that gives rights", async () => {
    const modes = await must(["find", image.folder, "-type", "f", "-perm", "/6022"]);
    expect(modes).toBe("");
  });
});

describe("in the image, as its user,", () => {
  test("the command says its version", async () => {
    const { status, stdout, stderr } = await inImage([SLUICE, "version", "--client", "-o", "json"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout).sluice).toBe(image.name.split(":")[1]);
  });

  test(
    "the compiler makes a module of a source",
    async () => {
      const source = await must(["cat", `${root}/sdk/templates/filter/assembly/index.ts`]);
      const script = `
      import { fork } from "node:child_process";
      const child = "${HOME}/host/dist/plugins/compile-child.js";
      const compiler = fork(child, { env: {}, execArgv: [], serialization: "advanced" });
      compiler.on("message", ({ module: { wasm, manifest } }) => {
        console.log(WebAssembly.validate(wasm), manifest.hooks.length);
        compiler.disconnect();
      });
      compiler.send({ source: ${JSON.stringify(source)} });`;
      const { stdout, stderr } = await inImage(["/usr/bin/node", "--input-type=module", "--eval", script]);
      expect([stdout.trim(), stderr]).toEqual(["true 1", ""]);
    },
    LONGEST_MS,
  );

  test("the CNI's program answers", async () => {
    const program = image.command([`${HOME}/build/native/sluice-cni`], "image", ["CNI_COMMAND=VERSION"]);
    const { stdout } = await run(program, { input: '{"cniVersion":"1.1.0"}' });
    expect(JSON.parse(stdout)).toMatchObject({ cniVersion: "1.1.0" });
  });
});

test("in the image, as root, a dataplane runs packets and a plugin", async () => {
  const name = ownName("image");
  const node = await Namespace.create(cleanup, name);
  const pod = await Namespace.create(cleanup, ownName("image-pod"));
  await node.ip("link", "add", "nic0", "type", "veth", "peer", "name", "nic1");
  const file = {
    name,
    memory: { hugepages: "never", size: 128 },
    conntrack: { maxFlows: 1024, persist: false },
    ports: [
      {
        ...{ name: "pod", kind: "tap", device: "eth0", netns: pod.path, addresses: ["169.254.1.1/32"] },
        ...{ peerAddresses: ["10.1.0.2/32"], peerDefaultRoute: true },
      },
      // Its driver loads a program of BPF from a file.
      { name: "nic", kind: "af-xdp", device: "nic0" },
    ],
    routes: [
      { prefix: "10.1.0.2/32", nextHops: [{ port: "pod" }] },
      { prefix: "10.1.0.1/32", local: true },
    ],
    plugins: [{ name: "nat", module: `${HOME}/plugins/nat/build/nat.wasm` }],
  };
  await writeFile(join(image.folder, "node.yaml"), JSON.stringify(file));
  const socket = "/run/test.sock";
  const run = node.start(cleanup, image.command([SLUICE, "run", "-f", "/node.yaml", "--socket", socket], "root"), {
    sharesMounts: true,
  });
  await eventually("the node", WAIT_MS, () => {
    if (!run.running) throw new Error(`it ended: ${run.stdout}${run.stderr}`);
    return run.stdout.includes(socket) ? true : undefined;
  });
  await pod.must(["ping", "-c", "2", "-i", "0.2", "-W", "2", "10.1.0.1"]);
  const status = JSON.parse(await must(image.command([SLUICE, "status", "--socket", socket, "-o", "json"], "root")));
  expect(status.native.stages.map((stage: { name: string }) => stage.name)).toEqual(["nat"]);
  expect((await stat(join(image.folder, socket))).isSocket()).toBe(true);
  expect((await run.stop()).status).toBe(0);
});
