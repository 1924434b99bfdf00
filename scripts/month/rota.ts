/** A part of the month's traffic: when it asks, and the requests that it makes. */
export interface Party {
  /** A client of the demonstration; undefined: a caller without a token. */
  readonly client: string | undefined;
  /** Requests an hour at a moment. */
  readonly hourly: (moment: Moment) => number;
  /** The next request: `GET Patient/x`. */
  readonly request: (pick: Pick) => MonthRequest;
}

export interface MonthRequest {
  readonly path: string;
  /** The body of a create. */
  readonly creates?: object;
}

/** A random choice of the month: the same in each run. */
export interface Pick {
  readonly of: <T>(things: readonly [T, ...T[]]) => T;
  readonly patient: string;
  /** Of each hundred, so many are true. */
  readonly percent: (n: number) => boolean;
}

/** A moment as people in Springfield live it: five hours behind UTC. */
export interface Moment {
  readonly hour: number;
  readonly isWeekend: boolean;
  readonly isHoliday: boolean;
}

const hourMilliseconds = 3_600_000;

export function momentOf(time: number): Moment {
  const local = new Date(time - 5 * hourMilliseconds);
  const day = local.getUTCDay();
  return {
    hour: local.getUTCHours() + local.getUTCMinutes() / 60,
    isWeekend: day === 0 || day === 6,
    isHoliday: isHoliday(local),
  };
}

/** Federal holidays with a fixed day (5 U.S.C. 6103), and Thanksgiving: the fourth Thursday of November. */
const fixedHolidays: ReadonlySet<string> = new Set(["01-01", "06-19", "07-04", "11-11", "12-25"]);

function isHoliday(local: Date): boolean {
  const date = local.getUTCDate();
  const isThanksgiving = local.getUTCMonth() === 10 && local.getUTCDay() === 4 && date > 21 && date <= 28;
  return isThanksgiving || fixedHolidays.has(local.toISOString().slice(5, 10));
}

const isClosed = ({ isWeekend, isHoliday: isOff }: Moment): boolean => isWeekend || isOff;

/** A bump between two hours, highest in its middle. */
const between = (hour: number, from: number, to: number): number =>
  hour <= from || hour >= to ? 0 : Math.sin(((hour - from) / (to - from)) * Math.PI);

/** Peaks at the handovers of three shifts: 7:00, 15:00, 23:00. */
const handovers = (hour: number): number =>
  [7, 15, 23].reduce((sum, at) => sum + between(hour, at - 1, at + 1.5), 0);

const vitals = (patient: string) => ({
  resourceType: "Observation",
  status: "final",
  category: [
    {
      coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "vital-signs" }],
    },
  ],
  code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
  subject: { reference: `Patient/${patient}` },
  effectiveDateTime: new Date().toISOString(),
  valueQuantity: { value: 72, unit: "/min", system: "http://unitsofmeasure.org", code: "/min" },
});

const search = (path: string): MonthRequest => ({ path });

/** All parties. Some of their requests are refused: by a policy, an agreement, a quota, or for want of a token. */
export const parties: readonly Party[] = [
  {
    client: "telehealth", // a clinic
    hourly: (moment) => (isClosed(moment) ? 1 : 1 + 9 * between(moment.hour, 7, 19)),
    request: ({ of, patient, percent }) =>
      percent(2)
        ? search(`Observation?patient=${patient}&no-such-parameter=1`)
        : search(
            of([
              `Patient/${patient}`,
              `Observation?patient=${patient}&_count=10`,
              `Condition?patient=${patient}`,
              `MedicationRequest?patient=${patient}`,
              `Patient/${patient}/$everything?_count=20`,
            ]),
          ),
  },
  {
    client: "charting", // the wards, in three shifts
    hourly: ({ hour }) => 1.5 + 5 * handovers(hour),
    request: ({ patient, percent }) =>
      percent(60)
        ? { path: "Observation", creates: vitals(patient) }
        : search(`Observation?patient=${patient}&_count=5`),
  },
  {
    client: "payer", // claims run at night
    hourly: ({ hour }) => 14 * between(hour, 1, 5),
    request: ({ of, patient, percent }) =>
      percent(6)
        ? search(`AllergyIntolerance?patient=${patient}`)
        : search(of([`Patient/${patient}`, `Condition?patient=${patient}`, `Procedure?patient=${patient}`])),
  },
  {
    client: "patient-app", // patients in the evening, and at weekends
    hourly: (moment) => (isClosed(moment) ? 4 : 1) * (0.3 + 3 * between(moment.hour, 16, 23.5)),
    request: ({ of, percent }) =>
      percent(10)
        ? search("Observation?_count=10&no-such-parameter=1")
        : search(of(["Patient", "Observation?_count=10", "Condition", "Immunization"])),
  },
  {
    client: "public-health",
    hourly: (moment) => (isClosed(moment) ? 0 : 3 * between(moment.hour, 8, 11)),
    request: ({ of }) => search(of(["Immunization?_count=20", "Condition?_count=20"])),
  },
  {
    client: "tiny", // a loop that forgot to stop, against a small quota
    hourly: ({ hour }) => 5 * between(hour, 11, 14),
    request: ({ patient }) => search(`Patient/${patient}`),
  },
  {
    client: undefined, // scanners
    hourly: () => 0.6,
    request: ({ of }) => search(of(["Patient", "metadata-of-others", "Observation?_count=1000"])),
  },
];
