import { z } from "zod";
import { SluiceError } from "../errors.js";
import type { KubeApi, NamespacedName, ObjectMeta } from "./api.js";
import { hasKubeCode } from "./errors.js";

/** A Secret's entries, in UTF-8. */
export type SecretData = Readonly<Record<string, string>>;

interface Secret {
  readonly metadata: ObjectMeta;
  readonly data?: unknown;
}

const dataSchema = z.record(z.string(), z.string());

/** One Secret, as it was when it was read. */
export class SecretFile {
  private constructor(
    private readonly api: KubeApi,
    private readonly place: NamespacedName,
    private readonly found: Secret | undefined,
    /** Empty where there is none, or one without entries. */
    readonly data: SecretData,
  ) {}

  /** @throws SluiceError, with KubeErrorCode's codes */
  static async read(api: KubeApi, place: NamespacedName): Promise<SecretFile> {
    try {
      const found = await api.get<Secret>(pathOf(place));
      const { success, data } = dataSchema.safeParse(found.data ?? {});
      if (!success) throw SluiceError.of("kube-refused", pathOf(place), "its data is none of a Secret");
      return new SecretFile(api, place, found, decoded(data));
    } catch (error) {
      if (!hasKubeCode(error, "kube-not-found")) throw error;
      return new SecretFile(api, place, undefined, {});
    }
  }

  /** Sets all its entries. @throws SluiceError, "kube-conflict" when somebody has made or changed it since it was read */
  async write(data: SecretData): Promise<void> {
    const { namespace, name } = this.place;
    const encoded = Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString("base64")]),
    );
    if (this.found !== undefined) {
      await this.api.replace(pathOf(this.place), { ...this.found, data: encoded });
      return;
    }
    const metadata = { namespace, name };
    await this.api.create(`/api/v1/namespaces/${namespace}/secrets`, {
      apiVersion: "v1",
      kind: "Secret",
      metadata,
      type: "Opaque",
      data: encoded,
    });
  }
}

const pathOf = ({ namespace, name }: NamespacedName): string => `/api/v1/namespaces/${namespace}/secrets/${name}`;

const decoded = (data: SecretData): SecretData =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]));
