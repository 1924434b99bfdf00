import { assets } from "#console/assets.gen";
import type { ConsolePlaces } from "#console/ports";
import { texts } from "#console/texts";
import { KeyForm } from "./key-form.tsx";
import { ledgerAttributes } from "./ledger.tsx";
import { Message } from "./messages.tsx";
import { Field, NoScript } from "./parts.tsx";

const { patients } = texts;

/** The look-up: the browser asks the FHIR base, and this server learns nothing about the patient. */
export function PatientsPage({ places }: { readonly places: ConsolePlaces }) {
  const desk = places.patients;
  if (desk === undefined)
    return (
      <>
        <h1>{patients.title}</h1>
        <p class="alert warn">{patients.absent}</p>
      </>
    );
  return (
    <>
      <h1>{patients.title}</h1>
      <p class="no-print">{patients.intro}</p>
      <section
        data-patients
        data-fhir={desk.fhir}
        data-issuer={desk.issuer}
        data-client={desk.clientId}
        {...ledgerAttributes(places)}
      >
        <p class="alert still no-print" role="status" data-banner>
          {patients.before}
        </p>
        <NoScript>{patients.noScript}</NoScript>
        <p data-open hidden>
          <button>{patients.open}</button>
        </p>
        <form data-find hidden class="no-print" autocomplete="off">
          <div class="fields">
            <Field label={patients.name} id="patient-name" maxlength={100} />
            <Field label={patients.birth} id="patient-birth" type="date" />
            <Field label={patients.number} id="patient-number" maxlength={100} />
            <Field label={patients.id} id="patient-id" maxlength={64} />
          </div>
          <div class="fields">
            <Field label={patients.from} id="patient-from" type="date" />
            <Field label={patients.to} id="patient-to" type="date" />
            <button>{patients.find}</button>
          </div>
          <p class="note">{patients.periodNote}</p>
        </form>
        <div data-people></div>
        <KeyForm action={patients.openRecords} hidden={true} />
        <div data-results></div>
      </section>
    </>
  );
}

/** The issuer sends the browser here. The script takes the answer out of the address. */
export function PatientsReturnPage() {
  return (
    <Message title={patients.title}>
      <p data-return>{patients.returning}</p>
      <NoScript>{patients.noScript}</NoScript>
      <script type="module" src={assets.script.path} integrity={assets.script.integrity}></script>
    </Message>
  );
}
