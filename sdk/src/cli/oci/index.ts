export type { Login } from "./authority.js";
export { checkDigest, readBody } from "./body.js";
export { type Credentials, credentialsIn, type DockerConfig } from "./credentials.js";
export { type RegistryOptions, Repository } from "./registry.js";
