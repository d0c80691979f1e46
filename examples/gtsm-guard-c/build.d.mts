/** Compiles the stage with clang and attaches its manifest. */
export function build(): Uint8Array;
