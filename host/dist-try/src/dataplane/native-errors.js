import { SluiceError } from "../errors.js";
/** A refusal of the addon as the shell's own; anything else is a defect and stays what it is. */
export function fromNative(error, defaultPath = "") {
    if (!isNative(error))
        return error;
    return SluiceError.of(error.code, error.path || defaultPath, error.message, { cause: error });
}
function isNative(error) {
    return error instanceof Error && error.name === "SluiceNativeError";
}
//# sourceMappingURL=native-errors.js.map