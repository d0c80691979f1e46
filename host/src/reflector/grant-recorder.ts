import type { Logger } from "pino";
import { messageOf, SluiceError } from "../errors.js";
import type { KubeApi } from "../kube/api.js";
import { hasKubeCode } from "../kube/errors.js";
import { GRANTED, type Granted, grantedText } from "./granted.js";

const AT_ONCE = 8;
/** How long an annotation that was written may take to come back by the watch. */
const ECHO_MS = 10_000;

/** Writes what nodes are given to their Node objects. */
export class GrantRecorder {
  readonly #api: KubeApi;
  readonly #log: Logger;
  /** Written ones that the watch has not told yet. */
  readonly #written = new Map<string, { readonly text: string | undefined; readonly until: number }>();

  constructor(api: KubeApi, log: Logger) {
    this.#api = api;
    this.#log = log;
  }

  /**
   * @param wanted what each of these nodes is to have
   * @param recorded what their objects say, as far as is known
   * @returns the nodes whose objects say so now
   */
  async record(wanted: ReadonlyMap<string, Granted>, recorded: ReadonlyMap<string, Granted>): Promise<Set<string>> {
    const done = new Set<string>();
    const todo = [...wanted].values();
    const worker = async () => {
      for (const [node, granted] of todo) {
        const text = grantedText(granted);
        if (this.#saysSo(node, text, recorded.get(node)) || (await this.#write(node, text))) done.add(node);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return done;
  }

  #saysSo(node: string, text: string | undefined, recorded: Granted | undefined): boolean {
    const known = grantedText(recorded ?? { blocks: {} });
    const written = this.#written.get(node);
    if (written === undefined) return known === text;
    if (known === written.text || performance.now() > written.until) this.#written.delete(node);
    return (this.#written.has(node) ? written.text : known) === text;
  }

  async #write(node: string, text: string | undefined): Promise<boolean> {
    try {
      await this.#api.patch(`/api/v1/nodes/${node}`, { metadata: { annotations: { [GRANTED]: text ?? null } } });
      this.#written.set(node, { text, until: performance.now() + ECHO_MS });
      return true;
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      // A node that was deleted meanwhile gets nothing.
      if (!hasKubeCode(error, "kube-not-found")) {
        this.#log.warn({ node, error: messageOf(error) }, "what the node is given can't be recorded with it for now");
      }
      return false;
    }
  }
}
