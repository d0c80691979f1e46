import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { SluiceError, systemCode } from "../errors.js";
const SOCKET_FOLDER = "/run/sluice";
export function defaultSocket(name) {
    return join(SOCKET_FOLDER, `${name}.sock`);
}
export function defaultStateDir(name) {
    return join("/var/lib/sluice", name);
}
export const DEFAULT_CACHE_DIR = "/var/cache/sluice";
/** The socket meant when none is named: the only one there is. @throws SluiceError */
export async function onlySocket() {
    const names = (await listFolder())
        .filter((file) => file.endsWith(".sock"))
        .map((file) => file.slice(0, -".sock".length));
    const [only] = names;
    if (only === undefined) {
        throw SluiceError.of("not-running", SOCKET_FOLDER, "no dataplane runs here; start one with sluice run -f node.yaml, or name its --socket");
    }
    if (names.length > 1) {
        throw SluiceError.of("ambiguous-node", SOCKET_FOLDER, `several dataplanes run here; choose one with --name: ${names.join(", ")}`);
    }
    return defaultSocket(only);
}
async function listFolder() {
    try {
        return await readdir(SOCKET_FOLDER);
    }
    catch (error) {
        if (systemCode(error) === "ENOENT")
            return [];
        throw SluiceError.of("socket-unusable", SOCKET_FOLDER, String(error), { cause: error });
    }
}
//# sourceMappingURL=paths.js.map