import { assets } from "#console/assets.gen";
import type { ConsolePlaces } from "#console/ports";
import { texts } from "#console/texts";
import { KeyForm } from "./key-form.tsx";
import { Banner, FactList, Field, NoScript } from "./parts.tsx";

/** The attributes of a section that name for the script which ledger to read, and with which public keys. */
export const ledgerAttributes = ({ ledger, rootKey, witnesses }: ConsolePlaces) => ({
  "data-ledger": ledger,
  "data-root": rootKey,
  "data-witnesses": witnesses.join(" "),
});

/** The ledger, checked in the browser. */
export function LedgerPage({ places }: { readonly places: ConsolePlaces }) {
  const { ledger } = texts;
  return (
    <>
      <h1>{ledger.title}</h1>
      <p>{ledger.intro}</p>
      <section data-check {...ledgerAttributes(places)}>
        <Banner>{ledger.before}</Banner>
        <p>
          <button disabled>{ledger.check}</button>
        </p>
        <NoScript>{ledger.noScript}</NoScript>
        <div data-results></div>
      </section>
      <h2>{ledger.independentTitle}</h2>
      <p>{ledger.independent}</p>
      <pre
        tabindex={0}
      >{`npx --no phylax ledger verify ${places.ledger} --key '${places.rootKey}'${places.witnesses.map((key) => ` --witness '${key}'`).join("")}\nnpx --no phylax ledger export ledger-copy\npython3 scripts/verify-ledger.py ledger-copy --keys FILE`}</pre>
      <FactList
        rows={[
          [ledger.script, <code>{assets.script.integrity}</code>],
          [ledger.rootKey, <code>{places.rootKey}</code>],
        ]}
      />
      <p class="note">{ledger.scriptNote}</p>
    </>
  );
}

/** Why a request was refused: the records of its id, opened in the browser. */
export function WhyPage({ places }: { readonly places: ConsolePlaces }) {
  const { why } = texts;
  return (
    <>
      <h1>{why.title}</h1>
      <p>{why.intro}</p>
      <section data-why {...ledgerAttributes(places)}>
        <KeyForm action={why.find}>
          <Field
            label={why.id}
            id="request-id"
            required
            pattern="[A-Za-z0-9._\-]{1,64}"
            size={36}
            autocomplete="off"
            spellcheck={false}
          />
        </KeyForm>
        <Banner>{why.before}</Banner>
        <div data-results></div>
      </section>
    </>
  );
}
