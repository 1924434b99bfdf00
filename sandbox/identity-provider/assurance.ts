/** Levels of authentication: values of `acr` (REFEDS) with the methods of each as `amr` (RFC 8176 §2). */
export const assurance = {
  password: { acr: "https://refeds.org/profile/sfa", amr: ["pwd"] },
  twoFactors: { acr: "https://refeds.org/profile/mfa", amr: ["pwd", "otp", "mfa"] },
} as const;

/** True if an authorization request asks for two factors (OpenID Connect Core §3.1.2.1 `acr_values`). */
export const asksForTwoFactors = ({
  acr_values: values,
}: Readonly<Record<string, string | undefined>>): boolean =>
  (values ?? "").split(" ").includes(assurance.twoFactors.acr);
