import { test } from "vitest";
import { asksForProof } from "#gateway/http/asks-for-proof";

const asks = (prefer: string) => asksForProof(new Headers({ prefer }));

test("Prefer is a list: audit-proof is asked for by its whole name, in any case, wherever it stands", ({
  expect,
}) => {
  for (const prefer of ["audit-proof", "return=minimal, Audit-Proof", " audit-proof ;x=1,handling=strict"])
    expect(asks(prefer), prefer).toBe(true);
  for (const prefer of ["", "audit-proofs", "no-audit-proof", "handling=audit-proof", "audit proof"])
    expect(asks(prefer), prefer).toBe(false);
  expect(asksForProof(new Headers())).toBe(false);
  expect(
    asksForProof(
      new Headers([
        ["prefer", "return=minimal"],
        ["prefer", "audit-proof"],
      ]),
    ),
  ).toBe(true);
});
