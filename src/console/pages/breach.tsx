import type { ConsolePlaces } from "#console/ports";
import { texts } from "#console/texts";
import { ledgerAttributes } from "./ledger.tsx";
import { KeyForm } from "./key-form.tsx";
import { Field } from "./parts.tsx";

const { breach } = texts;

/** The scope of a breach: the browser computes it from opened records, so this server learns no patient. */
export function BreachPage({ places }: { readonly places: ConsolePlaces }) {
  return (
    <>
      <p class="no-print">
        <a href="/console/events">{texts.events.title}</a>
      </p>
      <h1>{breach.title}</h1>
      <p class="no-print">{breach.intro}</p>
      <section data-breach {...ledgerAttributes(places)}>
        <KeyForm action={breach.find}>
          <div>
            <label for="breach-name">{breach.by}</label>
            <select id="breach-name">
              {Object.entries(breach.names).map(([name, text]) => (
                <option value={name}>{text}</option>
              ))}
            </select>
          </div>
          <Field
            label={breach.value}
            id="breach-value"
            required
            maxlength={500}
            autocomplete="off"
            spellcheck={false}
          />
          <Field label={breach.from} id="breach-from" type="date" required />
          <Field label={breach.to} id="breach-to" type="date" required />
          <Field label={breach.discovered} id="breach-discovered" type="date" required />
          <Field
            label={breach.purpose}
            id="breach-purpose"
            maxlength={40}
            autocomplete="off"
            spellcheck={false}
          />
        </KeyForm>
        <p class="alert still no-print" role="status" data-banner>
          {breach.before}
        </p>
        <div data-results></div>
        <div data-letters></div>
      </section>
      <h2 class="no-print">{breach.offlineTitle}</h2>
      <p class="no-print">{breach.offline}</p>
      <pre class="no-print" tabindex={0}>
        phylax breach-scope ledger-copy --client CLIENT --from DAY --to DAY --discovered DAY --key
        auditor.jwk.json
      </pre>
    </>
  );
}
