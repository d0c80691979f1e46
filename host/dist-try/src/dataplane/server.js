import { chmod, mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Metadata, Server, ServerCredentials, status, } from "@grpc/grpc-js";
import { formatProblem, messageOf, SluiceError, systemCode } from "../errors.js";
import { probeSocket } from "./client.js";
import { CALL_NAMES, dataplaneService, MAX_MESSAGE_BYTES, PROBLEMS_KEY, } from "./protocol.js";
/** The gRPC server on its unix socket. Having the socket is having the node's name: one dataplane a name. */
export class DataplaneServer {
    server;
    socket;
    constructor(server, socket) {
        this.server = server;
        this.socket = socket;
    }
    /**
     * Listens on a socket that only this user can open; one that a dead process left behind is replaced.
     * @throws SluiceError "already-running" when a dataplane answers there, "socket-unusable"
     */
    static async listen(socket, handlers, log) {
        await prepareSocket(socket);
        const options = {
            "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
            "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
        };
        const server = new Server(options);
        server.addService(dataplaneService().service, implementation(handlers, log));
        await bind(server, socket);
        return new DataplaneServer(server, socket);
    }
    /** Lets calls in work end, for a second at most. */
    async close() {
        const force = setTimeout(() => this.server.forceShutdown(), 1000);
        await new Promise((done) => this.server.tryShutdown(() => done()));
        clearTimeout(force);
        await rm(this.socket, { force: true });
    }
}
async function prepareSocket(socket) {
    // sun_path, with its terminating zero: unix(7).
    if (Buffer.byteLength(socket) > 107) {
        throw SluiceError.of("socket-unusable", socket, "a unix socket's path has up to 107 bytes; choose a shorter --socket");
    }
    try {
        await mkdir(dirname(socket), { recursive: true, mode: 0o755 });
        if ((await probeSocket(socket)) === "alive") {
            throw SluiceError.of("already-running", socket, "a dataplane of this name answers there; stop it first, or choose another name");
        }
        await rm(socket, { force: true });
    }
    catch (error) {
        if (error instanceof SluiceError)
            throw error;
        throw SluiceError.of("socket-unusable", socket, messageOf(error), { cause: error });
    }
}
/** With a mask, as a moment with an open socket would be enough for another user to get in. */
async function bind(server, socket) {
    const mask = process.umask(0o177);
    try {
        await new Promise((done, fail) => server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => (error ? fail(error) : done())));
        await chmod(socket, 0o600);
    }
    catch (error) {
        throw SluiceError.of("socket-unusable", socket, messageOf(error), { cause: error });
    }
    finally {
        process.umask(mask);
    }
}
function implementation(handlers, log) {
    return Object.fromEntries(CALL_NAMES.map((name) => [name, unary(name, handlers[name], log)]));
}
function unary(name, handler, log) {
    const handle = (call, respond) => {
        handler(call.request).then((response) => respond(null, response), (error) => respond(refusal(name, error, log)));
    };
    return handle;
}
function refusal(call, error, log) {
    if (!(error instanceof SluiceError))
        log.error({ call, err: error }, "defect in a call");
    else
        log.warn({ call, problems: error.problems.slice(0, 20) }, "refused");
    const problems = error instanceof SluiceError ? error.problems : [defect(error)];
    const metadata = new Metadata();
    metadata.set(PROBLEMS_KEY, Buffer.from(JSON.stringify(fitting(problems))));
    return {
        code: codeOf(error),
        details: problems[0] === undefined ? "" : formatProblem(problems[0]).slice(0, 500),
        metadata,
    };
}
function codeOf(error) {
    if (!(error instanceof SluiceError))
        return status.INTERNAL;
    return error.problems[0]?.code === "not-running" ? status.UNAVAILABLE : status.FAILED_PRECONDITION;
}
function defect(error) {
    const code = systemCode(error);
    return {
        code: "internal",
        path: "",
        message: `${code === undefined ? "" : `${code}: `}${messageOf(error)}; see the dataplane's log`,
    };
}
/** HTTP/2 headers have little room: the first ones in at most 8 KiB. */
function fitting(problems) {
    const kept = [];
    let bytes = 0;
    for (const problem of problems) {
        const short = { ...problem, message: problem.message.slice(0, 1000) };
        bytes += Buffer.byteLength(JSON.stringify(short));
        if (bytes > 8192 && kept.length > 0) {
            kept.push({
                code: "more",
                path: "",
                message: `${problems.length - kept.length} more problems; see the dataplane's log`,
            });
            break;
        }
        kept.push(short);
    }
    return kept;
}
//# sourceMappingURL=server.js.map