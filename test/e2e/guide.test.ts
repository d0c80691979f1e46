import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cleanup } from "../support/cleanup.js";
import { root } from "../support/dataplane.js";
import { blocksOf, fileOf, infoOf, Reader } from "../support/docs.js";
import { oneNode, temporaryFolder } from "../support/topology.js";

// Who follows docs/guide.md from top to bottom gets there, with the packed SDK and a running node.

const steps = blocksOf("docs/guide.md").filter(
  (block) => fileOf(block) !== undefined || infoOf(block) === "sh" || infoOf(block) === "sh node",
);
const cleanup = new Cleanup();
let reader: Reader;

/** `sluice` and `pod`, which the guide defines for the demo's node, for this one. */
function shortcuts(folder: string, commands: Record<string, string>): string {
  mkdirSync(folder, { recursive: true });
  for (const [name, command] of Object.entries(commands)) {
    writeFileSync(`${folder}/${name}`, `#!/bin/sh\nexec ${command}\n`);
    chmodSync(`${folder}/${name}`, 0o755);
  }
  return folder;
}

beforeAll(async () => {
  const node = await oneNode(cleanup, 2);
  const [pod] = node.pods;
  const bin = shortcuts(`${temporaryFolder(cleanup)}/bin`, {
    sluice: `${process.execPath} ${root}/host/bin/sluice.js "$@" --socket ${node.dataplane.socket}`,
    pod: `ip netns exec ${pod?.namespace.name} "$@"`,
  });
  reader = new Reader({ sdk: false, bin });
  cleanup.defer("the reader's folder", () => reader.end());
});

afterAll(() => cleanup.close());

describe("followed from top to bottom, docs/guide.md works:", () => {
  let isLost = false;
  test.each(steps.map((step) => [`line ${step.line}: ${fileOf(step) ?? step.text.split("\n")[0]}`, step] as const))(
    "%s",
    (_line, step) => {
      expect(isLost, "a step before this one failed").toBe(false);
      isLost = true;
      reader.follow(step);
      isLost = false;
    },
    150_000,
  );
});
