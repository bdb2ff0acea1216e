// What an examination finds: what it looked at, how that is, why it matters, and what mends it.

/** 'fine' and 'note' need nothing; a 'warning' may cost something one day; a 'problem' costs it now. 'unknown' could not be looked at. */
export type Severity = 'fine' | 'note' | 'unknown' | 'warning' | 'problem';

export interface DoctorFinding {
  /** Stable: `server-memory`, `store-lag`, … */
  readonly id: string;
  readonly severity: Severity;
  readonly title: string;
  readonly found: string;
  /** Why it matters. */
  readonly why: string;
  /** The command or setting that mends it; undefined where nothing is to be done. */
  readonly mend: string | undefined;
}

const ORDER: readonly Severity[] = ['problem', 'warning', 'unknown', 'note', 'fine'];

/** The worst first. */
export function bySeverity(a: DoctorFinding, b: DoctorFinding): number {
  return ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity);
}
