import { CommandError } from "../errors.js";
import type { Credentials, Login } from "./credentials.js";

type Send = (url: URL, request: RequestInit) => Promise<Response>;

/** Answers a registry's challenges: HTTP Basic, or a bearer token from the place that it names. */
export class Authority {
  /** What is to be sent with each request to the registry. */
  headers: Record<string, string> = {};
  private isAnswered = false;
  private credentials: Credentials | undefined;

  constructor(
    private readonly registry: string,
    private readonly repository: string,
    private readonly login: Login,
    private readonly send: Send,
  ) {}

  get remedy(): string {
    return this.login.remedy(this.registry);
  }

  /** For people: with what it was tried. */
  get state(): string {
    return this.credentials === undefined
      ? `there is no login for ${this.registry} in ${this.login.place}`
      : `the login for ${this.registry} in ${this.login.place} is not enough`;
  }

  /** @param actions that are asked for. @returns true when the request is worth another try. Throws CommandError. */
  async answer(refusal: Response, actions: string, plainHttp: boolean): Promise<boolean> {
    if (this.isAnswered) return false;
    this.isAnswered = true;
    this.credentials = await this.login.find(this.registry);
    const { scheme, parameters } = parseChallenge(refusal.headers.get("www-authenticate") ?? "");
    if (scheme === "basic" && this.credentials !== undefined) {
      this.headers = { authorization: basic(this.credentials) };
      return true;
    }
    if (scheme !== "bearer" || parameters.realm === undefined) return false;
    const realm = new URL(parameters.realm);
    if (realm.protocol !== "https:" && !plainHttp) {
      const problem = `asks to log in at ${realm.origin}, which is not encrypted`;
      throw new CommandError("registry", problem, "If you trust the way to it: --plain-http", this.registry);
    }
    const token = await this.fetchToken(realm, actions, parameters.service);
    if (token === undefined) return false;
    this.headers = { authorization: `Bearer ${token}` };
    return true;
  }

  /** https://distribution.github.io/distribution/spec/auth/token/, with an identity token its OAuth form. */
  private async fetchToken(realm: URL, actions: string, service: string | undefined): Promise<string | undefined> {
    const scope = `repository:${this.repository}:${actions}`;
    const known = this.credentials;
    const reply =
      known?.identityToken === undefined
        ? await this.send(withQuery(realm, { scope, ...(service === undefined ? {} : { service }) }), {
            headers: known === undefined ? {} : { authorization: basic(known) },
          })
        : await this.send(realm, {
            method: "POST",
            body: new URLSearchParams({
              grant_type: "refresh_token",
              refresh_token: known.identityToken,
              client_id: "sluice-plugin",
              service: service ?? "",
              scope,
            }),
          });
    if (!reply.ok) return undefined;
    const { token, access_token } = (await reply.json()) as { token?: string; access_token?: string };
    return token ?? access_token;
  }
}

const basic = ({ user, password }: Credentials): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

function withQuery(url: URL, query: Record<string, string>): URL {
  const result = new URL(url);
  for (const [name, value] of Object.entries(query)) result.searchParams.set(name, value);
  return result;
}

/** RFC 9110, section 11.6.1, one challenge: `Bearer realm="...",service="..."`. */
function parseChallenge(text: string): { scheme: string; parameters: Record<string, string> } {
  const [scheme = ""] = text.split(" ", 1);
  const parameters: Record<string, string> = {};
  for (const [, name = "", quoted, plain] of text
    .slice(scheme.length)
    .matchAll(/([a-z_]+)=(?:"([^"]*)"|([^\s,]+))/gi)) {
    parameters[name.toLowerCase()] = quoted ?? plain ?? "";
  }
  return { scheme: scheme.toLowerCase(), parameters };
}
