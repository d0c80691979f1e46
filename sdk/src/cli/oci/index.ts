export { checkDigest, readBody } from "./body.js";
export type { Login } from "./credentials.js";
export { type Credentials, credentialsIn, type DockerConfig } from "./credentials.js";
export { type RegistryOptions, Repository } from "./registry.js";
