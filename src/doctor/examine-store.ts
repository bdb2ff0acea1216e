// Examines what is in the store and runs on it: lag, failures, dead letters, partitions, versions that nobody reads, contradictions.
import type { ProcessorFacts, StoreFacts } from '../inspect/facts.ts';
import { Inspector } from '../inspect/inspector.ts';
import type { Connection } from '../redis/connection.ts';
import { verify } from '../verify/index.ts';
import type { DoctorFinding } from './finding.ts';

/** What runs and lags more is looked at by somebody. */
const LAG_MS = 60_000;
const UNEVEN = 3;
const EVENTS_TO_BE_EVEN = 10_000;
/** Of 100,000, at which a reactor stands still. */
const WAITING = 50_000;
const SAMPLE = 200;

export async function examineStore(connection: Connection, store: object): Promise<readonly DoctorFinding[]> {
  const facts = new Inspector(store);
  const [found, processors] = await Promise.all([facts.store(), facts.processors()]);
  const each = processors.flatMap((processor) => ofProcessor(processor, processors));
  const whole = [...unevenPartitions(found), ...(await overdue(connection, found)), ...(await contradictions(store))];
  const quiet = each.length === 0 ? [fine('store-processors', 'Processors', `${processors.length}, all of them well`)] : [];
  return [
    fine('store-events', 'Events', `${found.events.toLocaleString('en-US')} in ${found.partitions} partition${found.partitions === 1 ? '' : 's'}`),
    ...quiet,
    ...each,
    ...whole,
  ];
}

function fine(id: string, title: string, found: string): DoctorFinding {
  return { id, severity: 'fine', title, found, why: '', mend: undefined };
}

function ofProcessor(each: ProcessorFacts, all: readonly ProcessorFacts[]): readonly DoctorFinding[] {
  const title = each.kind === 'source' ? `source ${each.name}` : `${each.kind} ${each.name}@${each.version}`;
  return [standing, paused, unfinished, nobody, behind, deadLetters, waiting]
    .flatMap((check) => check(each, title) ?? [])
    .concat(unread(each, title, all));
}

type Check = (each: ProcessorFacts, title: string) => DoctorFinding | undefined;

const standing: Check = ({ lastFailure, name, version }, title) =>
  lastFailure?.isCurrent === true
    ? {
        id: 'store-standing',
        severity: 'problem',
        title,
        found: `stands still since ${lastFailure.at.toISOString()}: ${lastFailure.message}`,
        why: 'Nothing of it is folded or handled from that event on.',
        mend: `Mend its code or what it reads, and start it again; millrace processors ${name}@${version} tells all`,
      }
    : undefined;

const paused: Check = ({ isPaused, unfinished: begun, name, version }, title) =>
  isPaused && begun === undefined
    ? {
        id: 'store-paused',
        severity: 'warning',
        title,
        found: 'is paused',
        why: 'Nobody runs it until it is resumed.',
        mend: `millrace resume ${name}@${version}`,
      }
    : undefined;

const unfinished: Check = ({ unfinished: begun, name, version }, title) =>
  begun === undefined
    ? undefined
    : {
        id: 'store-unfinished',
        severity: 'problem',
        title,
        found: `a ${begun} was begun and not finished`,
        why: 'Nobody runs it until that is finished. If somebody is at it now, wait.',
        mend: `millrace ${begun} ${name}@${version} --yes`,
      };

const nobody: Check = ({ owners, isPaused, unfinished: begun, lagEvents, lastFailure }, title) =>
  owners.length === 0 && !isPaused && begun === undefined && lastFailure?.isCurrent !== true
    ? {
        id: 'store-not-run',
        severity: lagEvents > 0 ? 'problem' : 'note',
        title,
        found: `nobody runs it; ${lagEvents.toLocaleString('en-US')} events behind`,
        why: 'What comes is not folded or handled.',
        mend: 'Start a StreamProcessor that has it; or, if it is not needed any more, millrace drop',
      }
    : undefined;

const behind: Check = ({ lagMs, lagEvents, owners, timeLeftMs }, title) =>
  owners.length > 0 && lagMs > LAG_MS
    ? {
        id: 'store-lag',
        severity: 'warning',
        title,
        found: `${lagEvents.toLocaleString('en-US')} events behind, the first of them ${Math.round(lagMs / 1_000)} s old${timeLeftMs === undefined ? '' : `; about ${Math.round(timeLeftMs / 1_000)} s to go`}`,
        why: 'Its documents are so old, or its reactions so late.',
        mend: 'More processes (up to one for each partition), or faster code: millrace processors --watch shows the rate',
      }
    : undefined;

const deadLetters: Check = ({ deadLetters: dead, eventsWaiting, name, version }, title) =>
  dead > 0
    ? {
        id: 'store-dead-letters',
        severity: 'warning',
        title,
        found: `${dead.toLocaleString('en-US')} dead letters, ${eventsWaiting.toLocaleString('en-US')} events wait behind them`,
        why: 'They were given up, and wait for somebody.',
        mend: `millrace dead-letters list ${name}@${version}`,
      }
    : undefined;

const waiting: Check = ({ eventsWaiting, name, version }, title) =>
  eventsWaiting > WAITING
    ? {
        id: 'store-waiting',
        severity: 'problem',
        title,
        found: `${eventsWaiting.toLocaleString('en-US')} events wait behind dead letters`,
        why: 'With 100,000 in a partition the reactor stands still there.',
        mend: `millrace dead-letters retry ${name}@${version} --all`,
      }
    : undefined;

/** Of several versions of a projection, those below the one that serves are likely done with. */
function unread(each: ProcessorFacts, title: string, all: readonly ProcessorFacts[]): readonly DoctorFinding[] {
  const serving = all.find(({ kind, name, isServing }) => kind === 'projection' && name === each.name && isServing);
  if (each.kind !== 'projection' || !serving || each.version >= serving.version) return [];
  return [
    {
      id: 'store-old-version',
      severity: 'note',
      title,
      found: `version ${serving.version} serves`,
      why: 'If nobody flips back, its documents only take memory.',
      mend: `Stop what runs it, then millrace drop ${each.name}@${each.version}`,
    },
  ];
}

function unevenPartitions({ heads, events, partitions }: StoreFacts): readonly DoctorFinding[] {
  if (partitions === 1 || events < EVENTS_TO_BE_EVEN) return [];
  const most = heads.reduce((a, b) => (b.events > a.events ? b : a));
  const share = most.events / (events / partitions);
  if (share < UNEVEN) return [fine('store-partitions', 'Partitions', `the fullest has ${share.toFixed(1)} times the mean`)];
  return [
    {
      id: 'store-partitions',
      severity: 'warning',
      title: 'Partitions',
      found: `partition ${most.partition} has ${share.toFixed(1)} times the mean`,
      why: 'One process, and one node of a cluster, does most of the work.',
      mend: 'A few streams have most events: give those ids that are finer. Streams with one id share a partition.',
    },
  ];
}

/** What was due a minute ago should be there. */
async function overdue({ port, keys }: Connection, { heads, scheduled }: StoreFacts): Promise<readonly DoctorFinding[]> {
  if (scheduled === 0) return [];
  const latest = String(Date.now() - LAG_MS);
  const counts = await Promise.all(
    heads.map(({ partition }) => port.send(keys.schedule(partition), ['ZCOUNT', keys.schedule(partition), '-inf', latest])),
  );
  const late = counts.reduce<number>((sum, count) => sum + Number(count), 0);
  if (late === 0) return [fine('store-schedule', 'Scheduled events', `${scheduled.toLocaleString('en-US')}, none overdue`)];
  return [
    {
      id: 'store-schedule',
      severity: 'problem',
      title: 'Scheduled events',
      found: `${late.toLocaleString('en-US')} were due more than a minute ago`,
      why: 'They are appended by processors with deliverScheduled: none runs, or it cannot.',
      mend: 'Start a StreamProcessor; the event failed, and its log, say what is in the way',
    },
  ];
}

async function contradictions(store: object): Promise<readonly DoctorFinding[]> {
  const { findings } = await verify(store, { sample: SAMPLE });
  const [first] = findings;
  if (!first) return [fine('store-contradictions', 'Contradictions', `none in a sample of ${SAMPLE} streams; millrace verify --all looks at all`)];
  return [
    {
      id: 'store-contradictions',
      severity: 'problem',
      title: 'Contradictions',
      found: `${first.where}: expected ${first.expected}, found ${first.found}`,
      why: 'Something else wrote to the store, or part of it was lost.',
      mend: 'millrace verify --all',
    },
  ];
}
