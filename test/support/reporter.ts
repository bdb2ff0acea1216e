// Ends a run with `N passed, N failed, N skipped`, after the reason of each skip.
import type { SerializedError } from 'vitest';
import type { Reporter, TestCase, TestModule, TestSuite, Vitest } from 'vitest/node';

/** A skip without a reason fails the run: nobody could tell whether it is still needed. */
export class CountingReporter implements Reporter {
  #filtered = false;

  onInit(vitest: Vitest): void {
    this.#filtered = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const state = (wanted: string): TestCase[] => tests.filter((test) => test.result().state === wanted);
    const skipped = state('skipped');
    const failed = state('failed').length + modules.flatMap(errorsOutsideTests).length + unhandled.length;
    // With `-t` everything else counts as skipped, without a reason of its own.
    const withoutReason = this.#filtered ? [] : skipped.filter((test) => reasonOf(test) === undefined);
    if (!this.#filtered)
      for (const test of skipped)
        console.log(`skipped: ${test.module.relativeModuleId} > ${test.fullName}: ${reasonOf(test) ?? 'NO REASON GIVEN, which fails the run'}`);
    if (withoutReason.length > 0) process.exitCode = 1;
    console.log(`${state('passed').length} passed, ${failed + withoutReason.length} failed, ${skipped.length - withoutReason.length} skipped`);
  }
}

/** A file that does not load, or a hook of a whole file or suite that throws, has no failed test to show for it. */
function errorsOutsideTests(module: TestModule): unknown[] {
  return [...module.errors(), ...[...module.children.allSuites()].flatMap((suite) => suite.errors())];
}

/** The text given to `skip(reason)`; a `todo` is its own reason, and so is what failed before the test could begin. */
function reasonOf(test: TestCase): string | undefined {
  const result = test.result();
  if (test.options.mode === 'todo') return 'still to be written';
  if (suitesAround(test).some((suite) => suite.errors().length > 0)) return 'a hook before it failed';
  return result.state === 'skipped' ? result.note : undefined;
}

function suitesAround(test: TestCase): (TestModule | TestSuite)[] {
  const around: (TestModule | TestSuite)[] = [];
  for (let parent = test.parent; ; parent = parent.parent) {
    around.push(parent);
    if (parent.type === 'module') return around;
  }
}
