import type { ClusterNode } from "../node.js";

/** A node's own links, addresses and routes, a line each, without what counts or runs down. */
export async function networkOf(node: ClusterNode): Promise<string[]> {
  const lines = async (...argv: string[]) => (await node.must(argv)).split("\n").filter(Boolean);
  const links = await lines("ip", "-o", "link", "show");
  const addresses = await lines("ip", "-o", "address", "show");
  const routes = [...(await lines("ip", "-4", "route")), ...(await lines("ip", "-6", "route"))];
  return [
    ...links.map((line) => `link ${line.replace(/^\d+: ([^:]+):.*(link\/\S+ \S+).*$/, "$1 $2")}`),
    ...addresses.map(
      (line) =>
        `address ${line
          .replace(/^\d+: /, "")
          .replace(/( nodad)?\s*\\.*$/, "")
          .trim()}`,
    ),
    ...routes.map((line) => `route ${line.replace(/ expires \d+sec/, "").trim()}`),
  ].sort();
}
