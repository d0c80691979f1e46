import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { crdFiles } from "../src/resources/crd.js";

const FOLDER = fileURLToPath(new URL("../../deploy/crds/", import.meta.url));

describe("deploy/crds/", () => {
  test("has the files of all resources, and no others", () => {
    expect(readdirSync(FOLDER).sort()).toEqual(
      crdFiles()
        .map(({ name }) => name)
        .sort(),
    );
  });

  test.each(crdFiles())("$name is what npm run crds makes", async ({ name, text }) => {
    await expect(text).toMatchFileSnapshot(`${FOLDER}${name}`);
  });
});
