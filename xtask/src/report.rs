//! What a run did: the steps, how long each took, and the closing count.

use std::fmt::Write as _;
use std::time::Duration;

use crate::clock;

/// Tests and checks, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    /// One check that passed.
    pub(crate) const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    /// One check that failed.
    pub(crate) const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    /// One check that did not run.
    const SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// How a step ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Everything it checked holds.
    Passed(Tally),
    /// Something does not, with one line that says what.
    Failed(Tally, String),
    /// It did not run, with what is missing.
    LeftOut(String),
    /// It runs only when asked for, with how to ask.
    NotAsked(String),
}

impl Outcome {
    /// One check that either holds or not.
    pub(crate) fn of(holds: bool, fault: impl Into<String>) -> Self {
        if holds { Self::Passed(Tally::PASSED) } else { Self::Failed(Tally::FAILED, fault.into()) }
    }
}

struct Step {
    name: String,
    took: Duration,
    outcome: Outcome,
}

/// The steps of a run, in the order they ran.
#[derive(Default)]
pub(crate) struct Report {
    steps: Vec<Step>,
    only: Option<String>,
}

impl Report {
    /// A report in which only steps whose name contains `only` run.
    pub(crate) fn of(only: Option<String>) -> Self {
        Self { steps: Vec::new(), only }
    }

    /// Runs one step under a heading and keeps what came of it.
    ///
    /// A step that cannot even start has failed: it must not stop the others
    /// from being reported.
    pub(crate) fn step(&mut self, name: &str, step: impl FnOnce() -> anyhow::Result<Outcome>) {
        if self.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            return;
        }
        println!("\n== {name}");
        let start = clock::now();
        let outcome =
            step().unwrap_or_else(|error| Outcome::Failed(Tally::FAILED, format!("{error:#}")));
        let took = start.elapsed();
        if let Outcome::Failed(_, fault) = &outcome {
            println!("{name}: FAILED: {fault}");
        }
        self.steps.push(Step { name: name.to_owned(), took, outcome });
    }

    /// Whether any step failed; with `strict`, whether any was left out.
    pub(crate) fn failed(&self, strict: bool) -> bool {
        self.steps.iter().any(|step| match step.outcome {
            Outcome::Passed(_) | Outcome::NotAsked(_) => false,
            Outcome::Failed(..) => true,
            Outcome::LeftOut(_) => strict,
        })
    }

    /// The table of the steps and, as its last line, the count of all of them.
    ///
    /// With `strict` a step that was left out counts as failed.
    pub(crate) fn summary(&self, strict: bool) -> String {
        let mut text = String::from("\n== summary\n");
        let mut total = Tally::default();
        for step in &self.steps {
            let (word, tally, note) = match &step.outcome {
                Outcome::Passed(tally) => ("ok", *tally, String::new()),
                Outcome::Failed(tally, fault) => ("FAILED", *tally, first_line(fault)),
                Outcome::LeftOut(why) if strict => {
                    ("FAILED", Tally::FAILED, format!("left out: {why}"))
                }
                Outcome::LeftOut(why) => ("left out", Tally::SKIPPED, why.clone()),
                Outcome::NotAsked(how) => ("skipped", Tally::SKIPPED, how.clone()),
            };
            total.add(tally);
            let line = format!(
                "{:<28} {:>7.1} s  {:<9} {:>5}  {note}",
                step.name,
                step.took.as_secs_f64(),
                word,
                tally.passed + tally.failed,
            );
            text.push_str(line.trim_end());
            text.push('\n');
        }
        let took: Duration = self.steps.iter().map(|step| step.took).sum();
        // Writing into a string cannot fail.
        write!(text, "{:<28} {:>7.1} s\n\n{total}", "all", took.as_secs_f64()).ok();
        text
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::default();
        report.step("tests", || Ok(Outcome::Passed(Tally { passed: 40, failed: 0, skipped: 2 })));
        report.step("peer", || Ok(Outcome::LeftOut("nginx is missing".to_owned())));
        report
    }

    #[test]
    fn the_last_line_is_the_plain_count() {
        let summary = report().summary(false);
        assert_eq!(summary.lines().last(), Some("40 passed, 0 failed, 3 skipped"));
        assert!(!report().failed(false));
    }

    #[test]
    fn a_suite_left_out_is_a_failure_where_nothing_may_be() {
        let summary = report().summary(true);
        assert_eq!(summary.lines().last(), Some("40 passed, 1 failed, 2 skipped"));
        assert!(summary.contains("left out: nginx is missing"));
        assert!(report().failed(true));
    }

    #[test]
    fn a_proof_that_nobody_asked_for_is_counted_and_fails_nothing() {
        let mut report = Report::default();
        report.step("long", || Ok(Outcome::NotAsked("--long runs it".to_owned())));
        for strict in [false, true] {
            assert!(!report.failed(strict));
            let summary = report.summary(strict);
            assert!(summary.contains("--long runs it"), "{summary}");
            assert_eq!(summary.lines().last(), Some("0 passed, 0 failed, 1 skipped"));
        }
    }

    #[test]
    fn a_step_that_cannot_start_has_failed() {
        let mut report = Report::default();
        report.step("broken", || anyhow::bail!("no such program"));
        assert!(report.failed(false));
        assert!(report.summary(false).contains("no such program"));
    }
}
