import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import { isIP } from "node:net";
import { parseAddress } from "../config/addresses.js";
import * as der from "./der.js";

// Certificates of RFC 5280, with keys on P-256: Node reads and checks certificates, and makes none.

/** PEM. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificatePlan {
  readonly commonName: string;
  /** Authorities sign others; servers also speak to themselves as clients. */
  readonly kind: "authority" | "server" | "client";
  readonly days: number;
  /** DNS names and addresses that it stands for. */
  readonly names?: readonly string[];
}

const DAY_MS = 86_400_000;
/** A clock that is behind takes a new certificate too. */
const SKEW_MS = 5 * 60_000;

const OID = {
  commonName: "2.5.4.3",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
} as const;
const VERSION_3 = Buffer.of(2);
/** KeyUsage's bits from the highest one down: digitalSignature is bit 0, keyCertSign 5, cRLSign 6. */
const USAGE = { leaf: der.namedBits(0x80, 0), authority: der.namedBits(0x06, 6) };

/** @param signer absent: it signs itself */
export function issue(plan: CertificatePlan, signer?: Identity): Identity {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signingKey = signer === undefined ? privateKey : createPrivateKey(signer.key);
  const issuer = signer === undefined ? nameOf(plan.commonName) : subjectOf(signer.certificate);
  const issuerKey = signer === undefined ? publicKey : new X509Certificate(signer.certificate).publicKey;
  const from = Date.now() - SKEW_MS;
  const algorithm = der.sequence(der.objectId(OID.ecdsaWithSha256));
  const toBeSigned = der.sequence(
    der.explicit(0, der.integer(VERSION_3)),
    der.integer(serialNumber()),
    algorithm,
    issuer,
    der.sequence(der.time(new Date(from)), der.time(new Date(from + plan.days * DAY_MS))),
    nameOf(plan.commonName),
    publicKey.export({ type: "spki", format: "der" }),
    der.explicit(3, der.sequence(...extensions(plan, publicKey, issuerKey))),
  );
  const signature = der.bitString(sign("sha256", toBeSigned, signingKey));
  return {
    certificate: pem(der.sequence(toBeSigned, algorithm, signature)),
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

/** Whether it can be used still, and how it is: signed by `authority`, of its own key, with those names. */
export function fits({ certificate, key }: Identity, authority: string, names: readonly string[] = []): boolean {
  try {
    const own = new X509Certificate(certificate);
    const ca = new X509Certificate(authority);
    const isOwn = own.checkIssued(ca) && own.verify(ca.publicKey) && own.checkPrivateKey(createPrivateKey(key));
    return isOwn && leftOf(certificate) > 0 && names.every((name) => hasName(own, name));
  } catch {
    return false; // what is no certificate fits nothing
  }
}

export const validUntil = (certificate: string): Date => new Date(new X509Certificate(certificate).validTo);

/** @returns which share of its life is left, from 1 to 0 and below */
export function leftOf(certificate: string): number {
  const { validFrom, validTo } = new X509Certificate(certificate);
  return (Date.parse(validTo) - Date.now()) / (Date.parse(validTo) - Date.parse(validFrom));
}

function hasName(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}

function extensions(plan: CertificatePlan, key: KeyObject, issuerKey: KeyObject): Buffer[] {
  const isAuthority = plan.kind === "authority";
  const purposes = { authority: [], server: [OID.serverAuth, OID.clientAuth], client: [OID.clientAuth] }[plan.kind];
  return [
    critical(
      OID.basicConstraints,
      isAuthority ? der.sequence(der.isTrue(), der.integer(Buffer.of(0))) : der.sequence(),
    ),
    critical(OID.keyUsage, isAuthority ? USAGE.authority : USAGE.leaf),
    ...(purposes.length === 0 ? [] : [extension(OID.extendedKeyUsage, der.sequence(...purposes.map(der.objectId)))]),
    extension(OID.subjectKeyIdentifier, der.octetString(keyIdentifier(key))),
    extension(OID.authorityKeyIdentifier, der.sequence(der.implicit(0, keyIdentifier(issuerKey)))),
    ...(plan.names === undefined ? [] : [extension(OID.subjectAltName, der.sequence(...plan.names.map(generalName)))]),
  ];
}

const extension = (id: string, value: Buffer): Buffer => der.sequence(der.objectId(id), der.octetString(value));
const critical = (id: string, value: Buffer): Buffer =>
  der.sequence(der.objectId(id), der.isTrue(), der.octetString(value));

/** RFC 5280 4.2.1.6: dNSName is [2], iPAddress [7] in network byte order. */
function generalName(name: string): Buffer {
  const address = parseAddress(name);
  return address === undefined ? der.implicit(2, Buffer.from(name)) : der.implicit(7, Buffer.from(address.bytes));
}

/** RFC 5280 4.2.1.2, method 1: SHA-1 of the key's bits, which are the last 65 bytes of what P-256 exports. */
function keyIdentifier(key: KeyObject): Buffer {
  const bits = key.export({ type: "spki", format: "der" }).subarray(-65);
  return createHash("sha1").update(bits).digest();
}

const nameOf = (commonName: string): Buffer =>
  der.sequence(der.set(der.sequence(der.objectId(OID.commonName), der.utf8String(commonName))));

/** Of a certificate made here: its common name and nothing else. */
function subjectOf(certificate: string): Buffer {
  return nameOf(new X509Certificate(certificate).subject.replace(/^CN=/, ""));
}

/** Positive, of 16 bytes. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
