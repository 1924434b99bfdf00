import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { UnusableFile } from "../misuse.ts";

/** The certificate of a file in PEM. Throws for any other file, and names it. */
export function certificateOf(file: string): X509Certificate {
  const text = readFileSync(file, "utf8");
  try {
    return new X509Certificate(text);
  } catch {
    throw new UnusableFile(`${file} is no certificate in PEM (-----BEGIN CERTIFICATE-----)`);
  }
}

/** The text of a file with a certificate in PEM. Throws for any other file. */
export const certificateText = (file: string): string => certificateOf(file).toString();
