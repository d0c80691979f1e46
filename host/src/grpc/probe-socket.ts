import { connect } from "node:net";
import { messageOf, SluiceError, systemCode } from "../errors.js";

/** Whether somebody listens on a unix socket. "stale": the file is there, its process is not. */
export async function probeSocket(socket: string): Promise<"alive" | "stale" | "absent"> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket);
    connection.once("connect", () => {
      connection.destroy();
      resolve("alive");
    });
    connection.once("error", (error) => {
      const code = systemCode(error);
      if (code === "ENOENT") resolve("absent");
      else if (code === "ECONNREFUSED") resolve("stale");
      else reject(SluiceError.of("socket-unusable", socket, messageOf(error), { cause: error }));
    });
  });
}
