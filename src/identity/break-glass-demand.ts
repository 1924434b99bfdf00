import * as z from "zod/mini";

/** The sign-in that a break-glass purpose demands, as the client's grant states it. */
export const breakGlassDemand = z.strictObject({
  acr: z
    .readonly(
      z.array(z.string().check(z.regex(/^[!#-[\]-~]{1,256}$/u))).check(z.minLength(1), z.maxLength(8)),
    )
    .register(z.globalRegistry, {
      description: "The token's acr must be a value of this list: the step-up of the issuer.",
    }),
  maxSeconds: z.int().check(z.minimum(60), z.maximum(14_400)).register(z.globalRegistry, {
    description: "The emergency ends this long after the person signed in (auth_time).",
  }),
});
export type BreakGlassDemand = Readonly<z.infer<typeof breakGlassDemand>>;
