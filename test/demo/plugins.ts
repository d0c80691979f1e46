import { check } from "./expect.js";
import type { DemoWorld } from "./world.js";

export async function checkPolicy(_world: DemoWorld): Promise<string> {
  check(false, "x");
  return "";
}
export async function checkService(_world: DemoWorld): Promise<string> {
  check(false, "x");
  return "";
}
export async function checkSrv6(_world: DemoWorld): Promise<string> {
  check(false, "x");
  return "";
}
